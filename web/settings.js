/* Settings: what runs here, who may use it, and what happened. */
import { session, call, within, chooseCollection, may } from './api.js';
import { retention, expire } from './retention.js';
import { h, fill, button, badge, field, table, check, dialog, confirm, facts, spinner, empty, toast, failed, busy, number, bytes, day, moment, plural, iconButton, announce } from './ui.js';

const tabs = [
  { path: 'models', title: 'Models', scope: 'read', show: models },
  { path: 'keys', title: 'Keys', scope: 'admin', show: keys },
  { path: 'collections', title: 'Collections', scope: 'read', show: collections },
  { path: 'retention', title: 'Retention', scope: 'admin', show: retention },
  { path: 'audit', title: 'Audit log', scope: 'admin', show: audit },
  { path: 'system', title: 'System', scope: 'read', show: system },
];

export async function settingsPage(main, which) {
  const open = tabs.filter((t) => may(t.scope)), tab = open.find((t) => t.path === which) || open[0];
  const place = h('div', { class: 'stack' }, spinner());
  fill(main, h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Settings'))),
    h('nav', { class: 'tabs', 'aria-label': 'Settings' }, open.map((t) => h('a', { href: `#/settings/${t.path}`, 'aria-current': t === tab && 'page' }, t.title))), place);
  return tab.show(place);
}

/* ---- models ---- */

const uses = { detect: 'finds faces', embed: 'tells people apart' };

async function models(place) {
  const { models: inUse, known } = await call('GET', '/v1/models');
  const others = known.filter((k) => !inUse.some((m) => m.name === k.name));
  fill(place, inUse.map((m) => h('section', { class: 'card pad' }, h('div', { class: 'model-head' }, h('h2', {}, m.name), badge(uses[m.use] || m.use, 'yes'), badge('in use')),
    facts(m.description && ['What it is', m.description], ['Licence', m.licence || 'not stated'], ['Trained on', m.training_data || 'not stated'], m.source && ['Source', m.source],
      ['Parameters', number(m.parameters)], m.use === 'embed' && ['Template', `${m.embedding} numbers`],
      m.use === 'embed' && m.default_fmr > 0 && ['Threshold lets through', `1 pair of strangers in ${number(Math.round(1 / m.default_fmr))}`],
      m.protocol && ['Calibrated on', m.protocol], ['Fingerprint', h('span', { class: 'mono' }, m.fingerprint)]))),
  others.length > 0 && h('details', { class: 'more card' }, h('summary', {}, `${plural(others.length, 'other model')} that can be fetched with “mien model pull”`),
    table('Other models', ['Name', 'Use', 'Licence', 'Trained on'], others.map((k) => h('tr', {}, h('td', {}, h('strong', {}, k.name), h('br'), h('small', {}, k.description)), h('td', {}, uses[k.use] || k.use),
      h('td', { class: 'clip' }, k.licence), h('td', { class: 'clip' }, k.training_data))))));
}

/* ---- keys ---- */

const scopes = [
  ['read', 'Read', 'List people, see models and events'], ['recognise', 'Recognise', 'Detect, compare, identify'],
  ['enrol', 'Enrol', 'Add, change and remove people'], ['admin', 'Administer', 'Everything, with keys and the audit log'],
];

async function keys(place) {
  const { keys: list } = await call('GET', '/v1/keys');
  const again = () => keys(place).catch(failed);
  fill(place, h('div', { class: 'actions' }, button('Make a key', () => keyDialog(again), { kind: 'primary', symbol: 'plus' })),
    table('Keys', ['Name', 'May', 'Collection', 'Last used', 'Expires', ''], list.map((k) => h('tr', {}, h('td', { class: 'clip' }, h('strong', {}, k.name), h('br'), h('small', {}, `made ${day(k.created_ms)}`)),
      h('td', {}, k.scopes.split(',').map((s) => [badge(s), ' '])), h('td', {}, k.collection || 'all'), h('td', { class: 'line' }, k.used_ms ? moment(k.used_ms) : 'never'),
      h('td', {}, k.expires_ms ? day(k.expires_ms) : 'never'),
      h('td', { class: 'end' }, button('Revoke', () => revoke(k, again), { kind: 'danger-quiet small', 'aria-label': `Revoke ${k.name}` }))))));
}

async function revoke(k, again) {
  if (!await confirm(`Revoke “${k.name}”?`, 'Whoever uses this key is shut out at once. This cannot be undone.', 'Revoke')) return;
  try {
    await call('DELETE', `/v1/keys/${k.id}`);
    toast(`“${k.name}” was revoked.`);
    again();
  } catch (e) {
    failed(e);
  }
}

async function keyDialog(again) {
  const { collections: names } = await call('GET', '/v1/collections');
  const d = dialog('Make a key');
  const name = h('input', { required: true, maxlength: '60', placeholder: 'Entrance tablet' });
  const where = h('select', {}, h('option', { value: '' }, 'All collections'), names.map((n) => h('option', { value: n }, n)));
  const until = h('input', { type: 'date' });
  const marks = scopes.map(([scope, label, hint]) => ({ scope, ...check(label, hint, scope === 'recognise') }));
  const nearest = check('Always name the nearest person', 'As CompreFace did, in its own calls alone. It names strangers too.');
  const make = h('button', { type: 'submit', class: 'button primary', form: 'key-form' }, 'Make the key');
  fill(d.body, h('form', { class: 'form', id: 'key-form', onsubmit: (e) => {
    e.preventDefault();
    busy(make, async () => {
      const chosen = marks.filter((m) => m.input.checked).map((m) => m.scope);
      if (chosen.length === 0) throw new Error('Choose what the key may do.');
      const json = { name: name.value.trim(), scopes: chosen.join(','), collection: where.value, nearest: nearest.input.checked };
      if (until.value) json.expires_ms = new Date(`${until.value}T23:59:59`).getTime();
      const key = await call('POST', '/v1/keys', { json });
      d.close();
      showToken(key);
      again();
    });
  } }, field('Name', name), h('fieldset', {}, h('legend', {}, 'May'), h('div', { class: 'scope-list' }, marks.map((m) => m.row))),
  h('div', { class: 'two' }, field('Collection', where), field('Expires', until)), nearest.row));
  fill(d.foot, button('Cancel', d.close), make);
  name.focus();
}

function showToken(key) {
  const d = dialog(`Key “${key.name}”`);
  const copy = iconButton('Copy', 'copy', () => navigator.clipboard.writeText(key.token).then(() => announce('copied')).catch(failed));
  fill(d.body, h('p', {}, 'This is the only time it is shown. Keep it like a password.'), h('div', { class: 'token' }, h('code', {}, key.token), copy));
  fill(d.foot, button('Done', d.close, { kind: 'primary' }));
}

/* ---- collections ---- */

async function collections(place) {
  const { collections: names } = await call('GET', '/v1/collections');
  const all = await Promise.all(names.map((n) => call('GET', `/v1/collections/${encodeURIComponent(n)}`).catch((e) => ({ name: n, fault: e.message }))));
  const again = () => { window.dispatchEvent(new Event('collections-changed')); collections(place).catch(failed); };
  fill(place, may('admin') && h('div', { class: 'actions' }, button('Make a collection', () => collectionDialog(again), { kind: 'primary', symbol: 'plus' })),
    all.map((c) => h('section', { class: 'card pad' }, h('div', { class: 'model-head' }, h('h2', {}, c.name), c.name === session.collection ? badge('shown', 'yes')
      : button('Show this one', () => { chooseCollection(c.name); again(); }, { kind: 'small' }), c.encrypted && badge('encrypted')),
    c.fault ? h('p', { class: 'hint' }, c.fault) : facts(['People', number(c.people)], ['Faces', `${number(c.faces)}, ${plural(c.images, 'picture')} kept`],
      c.expired > 0 && ['Consent run out', h('span', {}, badge(plural(c.expired, 'person', 'people'), 'warn'))], ['Do-not-enrol marks', number(c.do_not_enrol)], c.purpose && ['Purpose', c.purpose],
      ['Model', c.model], ['Size', bytes(c.file_bytes)], ['Changed', moment(c.changed_ms)], ['Audit', `${plural(c.audit_entries, 'entry', 'entries')}`]),
    may('admin') && h('div', { class: 'actions' }, c.expired > 0 && button('Remove expired people…', () => expire(c, again), { kind: 'danger-quiet small', symbol: 'trash' }),
      c.name !== 'default' && button('Remove the collection…', () => removeCollection(c, again), { kind: 'danger-quiet small', symbol: 'trash' })))));
}

function collectionDialog(again) {
  const d = dialog('Make a collection');
  const name = h('input', { required: true, maxlength: '63', pattern: '[a-z0-9][a-z0-9_\\-]*', placeholder: 'guests' });
  const purpose = h('input', { maxlength: '500' });
  const make = h('button', { type: 'submit', class: 'button primary', form: 'collection-form' }, 'Make it');
  fill(d.body, h('form', { class: 'form', id: 'collection-form', onsubmit: (e) => {
    e.preventDefault();
    busy(make, async () => {
      await call('POST', '/v1/collections', { json: { name: name.value, purpose: purpose.value } });
      d.close();
      again();
    });
  } }, field('Name', name, 'Small letters, digits, - and _.'), field('Purpose', purpose, 'Why these people are enrolled; it stays with the collection.')));
  fill(d.foot, button('Cancel', d.close), make);
  name.focus();
}

async function removeCollection(c, again) {
  if (!await confirm(`Remove “${c.name}”?`, `${plural(c.people || 0, 'person', 'people')} and the audit log of this collection are deleted. This cannot be undone.`, 'Remove')) return;
  try {
    await call('DELETE', `/v1/collections/${encodeURIComponent(c.name)}`);
    toast(`“${c.name}” was removed.`);
    again();
  } catch (e) {
    failed(e);
  }
}

/* ---- audit ---- */

const ENTRIES = 200;

async function audit(place) {
  const { audit_entries: total } = await call('GET', `/v1/collections/${encodeURIComponent(session.collection)}`);
  const rows = h('tbody', {});
  const more = h('div', { class: 'load-more' });
  /* the chain is read forwards from an entry; people want the newest first */
  async function load(upto) {
    const after = Math.max(0, upto - ENTRIES);
    const { entries } = await within('GET', '/v1/audit', { query: { after, limit: Math.max(1, Math.min(ENTRIES, upto - after)) } });
    rows.append(...entries.reverse().map((e) => h('tr', {}, h('td', {}, number(e.number)), h('td', { class: 'line' }, moment(e.time_ms)), h('td', {}, badge(e.action)), h('td', {}, e.actor),
      h('td', { class: 'mono', title: e.subject }, e.subject.slice(0, 12)), h('td', { class: 'mono', title: e.hash }, e.hash.slice(0, 12)))));
    fill(more, after > 0 && button('Show earlier entries', (e) => busy(e.currentTarget, () => load(after))));
  }
  await load(total);
  fill(place, h('p', { class: 'hint' }, `Every change of “${session.collection}”, each entry bound to the one before it. “mien gallery verify” checks the chain. People appear by a mark, never by name; the whole of it shows under the pointer.`),
    rows.children.length === 0 ? empty('people', 'Nothing happened yet', 'Enrolments, changes and removals appear here.') : h('div', { class: 'card table-wrap', tabindex: '0', role: 'region', 'aria-label': 'Audit log' }, h('table', {},
      h('thead', {}, h('tr', {}, ['Entry', 'Time', 'Action', 'By', 'About', 'Hash'].map((t) => h('th', { scope: 'col' }, t)))), rows)), more);
}

/* ---- system ---- */

const happenings = { recognised: 'Recognised', unknown: 'Unknown', enrolled: 'Enrolled', changed: 'Changed', merged: 'Merged', split: 'Split', removed: 'Removed', face_removed: 'Face removed' };
const MAX_EVENTS = 100;

function readMetrics(text) {
  const sum = (name) => text.split('\n').filter((l) => l.startsWith(`${name} `) || l.startsWith(`${name}{`)).reduce((n, l) => n + Number(l.slice(l.lastIndexOf(' ') + 1)), 0);
  return { requests: sum('mien_requests_total'), seconds: sum('mien_request_seconds_sum'), count: sum('mien_request_seconds_count'), connections: sum('mien_connections'),
    waiting: sum('mien_waiting'), refused: sum('mien_refused_busy_total') };
}

function span(s) {
  const d = Math.floor(s / 86400), hours = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  return d ? `${d} d ${hours} h` : hours ? `${hours} h ${m} min` : m ? `${m} min` : `${s} s`;
}

async function system(place) {
  const figures = h('div', { class: 'figures' });
  const log = h('div', { class: 'event-log', role: 'log', tabindex: '0', 'aria-label': 'Events' }, h('p', { class: 'panel-note' }, 'Waiting. Recognitions, enrolments and changes appear here as they happen.'));
  const state = badge('connecting');
  async function refresh() {
    const [health, text] = await Promise.all([call('GET', '/v1/health'), call('GET', '/metrics')]);
    const m = readMetrics(text), figure = (value, label) => h('div', { class: 'card figure' }, h('b', {}, value), h('span', {}, label));
    fill(figures, figure(health.version, 'version'), figure(span(health.uptime_s), 'running'), figure(number(m.requests), 'requests answered'),
      figure(m.count ? `${(1000 * m.seconds / m.count).toFixed(m.seconds / m.count < 0.01 ? 1 : 0)} ms` : '–', 'on average'), figure(number(m.connections), 'connections'), figure(number(m.refused), 'refused while busy'));
  }
  await refresh();
  fill(place, figures, h('section', { class: 'card', 'aria-labelledby': 'events-title' }, h('div', { class: 'panel-head' }, h('h2', { id: 'events-title' }, 'Live events'), state), log));
  const timer = setInterval(() => { if (!document.hidden) refresh().catch(() => {}); }, 5000);
  const source = new EventSource('/v1/events');
  source.onopen = () => { state.textContent = 'live'; state.classList.add('yes'); };
  source.onerror = () => { state.textContent = 'interrupted'; state.classList.remove('yes'); };
  for (const [type, label] of Object.entries(happenings))
    source.addEventListener(type, (e) => {
      const data = JSON.parse(e.data);
      if (log.querySelector('.panel-note')) fill(log);
      const about = [data.person && `person ${data.person}`, data.from && `from ${data.from}`, data.faces && plural(data.faces, 'face'),
        typeof data.similarity === 'number' && `similarity ${data.similarity.toFixed(2)}`, data.collection !== 'default' && data.collection].filter(Boolean).join(' · ');
      log.prepend(h('div', { class: 'event' }, h('time', {}, new Date(data.time_ms).toLocaleTimeString('en')), h('strong', {}, label), h('span', {}, about)));
      while (log.children.length > MAX_EVENTS) log.lastChild.remove();
    });
  return () => { clearInterval(timer); source.close(); };
}
