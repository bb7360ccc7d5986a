/* Building blocks. Text always enters as text: nothing here parses markup. */

const SVG = 'http://www.w3.org/2000/svg';

export function h(tag, props, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'class') e.className = value;
    else if (name.startsWith('on')) e.addEventListener(name.slice(2), value);
    else if (name === 'style') for (const [p, v] of Object.entries(value)) e.style.setProperty(p, v);
    else if (['value', 'checked', 'srcObject', 'indeterminate'].includes(name)) e[name] = value;
    else e.setAttribute(name, value === true ? '' : value);
  }
  add(e, children);
  return e;
}

export function add(e, children) {
  for (const c of [children].flat(Infinity))
    if (c !== undefined && c !== null && c !== false) e.append(c);
  return e;
}

export function fill(e, ...children) {
  e.replaceChildren();
  return add(e, children);
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg'), use = document.createElementNS(SVG, 'use');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

export const button = (label, onclick, { kind = '', symbol, ...more } = {}) =>
  h('button', { type: 'button', class: `button ${kind}`, onclick, ...more }, symbol && icon(symbol), h('span', {}, label));

export const iconButton = (label, symbol, onclick, more = {}) =>
  h('button', { type: 'button', class: 'icon-button', 'aria-label': label, title: label, onclick, ...more }, icon(symbol));

let fields = 0;
/* A label over its control; the hint belongs to the control for those who listen. */
export function field(label, control, hint) {
  const id = control.id || (control.id = `field-${++fields}`);
  if (hint) control.setAttribute('aria-describedby', `${id}-hint`);
  return h('div', { class: 'field' }, h('label', { for: id }, label), control,
    hint && h('p', { class: 'hint', id: `${id}-hint` }, hint));
}

export function check(label, hint, checked = false) {
  const input = h('input', { type: 'checkbox', checked });
  return { input, row: h('label', { class: 'check' }, input, h('span', {}, label, hint && h('small', {}, hint))) };
}

/* ---- saying ---- */

/* What lies outside an open dialog can be neither seen nor heard, so the messages move into it and back. */
function raise(host) {
  for (const id of ['toasts', 'live']) {
    const e = document.getElementById(id);
    if (e.parentNode !== host) host.append(e);
  }
}
const top = () => [...document.querySelectorAll('dialog[open]')].pop() || document.body;

export function announce(text) {
  raise(top());
  document.getElementById('live').textContent = text;
}

export function toast(text, { kind = 'note', action, label } = {}) {
  const box = h('div', { class: `toast ${kind}`, role: kind === 'error' ? 'alert' : 'status' },
    icon(kind === 'error' ? 'warn' : 'check'), h('p', {}, text));
  if (action) box.append(button(label, () => { box.remove(); action(); }, { kind: 'quiet' }));
  box.append(iconButton('Dismiss', 'close', () => box.remove()));
  const all = document.getElementById('toasts');
  raise(top());
  all.append(box);
  while (all.children.length > 4) all.firstChild.remove();
  setTimeout(() => box.remove(), kind === 'error' ? 12000 : 6000);
}

export function failed(e) {
  if (e.name === 'AbortError' || e.status === 401) return;
  const text = e.message || 'Something went wrong.';
  toast(text.charAt(0).toUpperCase() + text.slice(1), { kind: 'error' });
}

/* Run work behind a control: it shows that it works and cannot be pressed twice. */
export async function busy(control, work) {
  control.setAttribute('aria-busy', 'true');
  control.disabled = true;
  try {
    return await work();
  } catch (e) {
    failed(e);
    return undefined;
  } finally {
    control.removeAttribute('aria-busy');
    control.disabled = false;
  }
}

export const spinner = (label = 'Loading') => h('div', { class: 'spinner', role: 'status' }, h('i', {}), h('span', {}, label));

export const badge = (text, kind = '') => h('span', { class: `badge ${kind}` }, text);

export const empty = (symbol, title, text, ...actions) =>
  h('div', { class: 'empty' }, h('div', { class: 'empty-mark' }, icon(symbol)), h('h2', {}, title), h('p', {}, text),
    actions.length > 0 && h('div', { class: 'actions' }, actions));

/* ---- dialogs ---- */

export function dialog(title, { wide = false, onclose } = {}) {
  const id = `dialog-${++fields}`;
  const body = h('div', { class: 'dialog-body' }), foot = h('div', { class: 'dialog-foot' });
  const box = h('dialog', { class: wide ? 'wide' : '', 'aria-labelledby': id },
    h('header', {}, h('h2', { id }, title), iconButton('Close', 'close', () => box.close())), body, foot);
  box.addEventListener('close', () => { raise(document.body); box.remove(); if (onclose) onclose(); });
  box.addEventListener('click', (e) => { if (e.target === box) box.close(); });
  document.body.append(box);
  box.showModal();
  return { box, body, foot, close: () => box.close() };
}

/* Ask before what cannot be taken back. Resolves to whatever `read` gives, or null. */
export function confirm(title, text, label, { kind = 'danger', extra, read = () => true } = {}) {
  return new Promise((done) => {
    const d = dialog(title, { onclose: () => done(null) });
    fill(d.body, h('p', {}, text), extra);
    fill(d.foot, button('Cancel', d.close), button(label, () => { done(read()); d.close(); }, { kind }));
  });
}

/* ---- showing ---- */

export const number = (n) => new Intl.NumberFormat('en').format(n);
export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
export const day = (ms) => (ms ? new Intl.DateTimeFormat('en', { dateStyle: 'medium' }).format(ms) : '–');
export const moment = (ms) =>
  (ms ? new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' }).format(ms) : '–');
export const bytes = (n) => (n < 1e6 ? `${(n / 1e3).toFixed(0)} kB` : n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`);
export const sentence = (s) => (s ? `${s.charAt(0).toUpperCase()}${s.slice(1)}${/[.!?]$/.test(s) ? '' : '.'}` : '');

export const facts = (...rows) =>
  h('dl', { class: 'facts' }, rows.filter(Boolean).map(([k, v]) => h('div', {}, h('dt', {}, k), h('dd', {}, v))));

/* A row of heads, "" for the one over the buttons. */
export const table = (label, heads, rows) => h('div', { class: 'card table-wrap', tabindex: '0', role: 'region', 'aria-label': label }, h('table', {}, h('thead', {}, h('tr', {}, heads.map((t) =>
  (t ? h('th', { scope: 'col' }, t) : h('td', {}, h('span', { class: 'unseen' }, 'Actions')))))), h('tbody', {}, rows)));

const LEAST = -0.2; /* strangers lie around 0; below this nothing is told apart */
const part = (s) => Math.min(1, Math.max(0, (s - LEAST) / (1 - LEAST)));
const place = (s) => `${(100 * part(s)).toFixed(2)}%`;

/* The similarity on a ruler from strangers to the same picture, with the line that decides. `large` has room for words, and
 * `shapes` lie behind it. */
export function ruler(similarity, threshold, { large = false, scale = [], shapes = null } = {}) {
  const alike = similarity >= threshold;
  const track = h('div', { class: 'ruler-track' }, shapes && shapes.draw(part),
    h('div', { class: 'ruler-line', style: { left: place(threshold) } }),
    h('div', { class: `ruler-dot ${alike ? 'yes' : 'no'}`, style: { left: place(similarity) } }));
  const ticks = large && scale.map((p) => h('div', { class: 'ruler-tick', style: { left: place(p.threshold) } }, h('span', {}, p.label)));
  const marks = large && h('div', { class: 'ruler-marks' },
    h('span', { class: 'ruler-mark', style: { left: place(threshold) } }, `threshold ${threshold.toFixed(2)}`));
  return h('div', {
    class: `ruler ${large ? 'large' : ''} ${shapes ? 'shaped' : ''}`, role: 'img',
    'aria-label': `Similarity ${similarity.toFixed(2)}, threshold ${threshold.toFixed(2)}`,
  }, marks, track, ticks && h('div', { class: 'ruler-ticks' }, ticks),
  large && h('div', { class: 'ruler-ends' }, h('span', {}, 'strangers'), h('span', {}, 'same person')));
}

/* A face, or initials where no picture was kept. */
export function portrait(name, src, kind = '') {
  const letters = [...(name || '?').trim()].filter((c, i, all) => i === 0 || all[i - 1] === ' ').slice(0, 2).join('').toUpperCase();
  const box = h('span', { class: `portrait ${kind}`, 'aria-hidden': 'true' }, h('span', {}, letters || '?'));
  if (src) box.append(h('img', { src, alt: '', loading: 'lazy', onerror: (e) => e.target.remove() }));
  return box;
}
