/* What the album's pages share: the album as the server has it, pictures of faces, and the dialogs that need both. */
import { call, within, may, session } from './api.js';
import { h, fill, icon, button, field, check, dialog, toast, failed, busy, plural, sentence } from './ui.js';
import { cropAddress } from './sets.js';
import { consentFields } from './enrol.js';

const PAGE = 5000;

/* Groups with the face that stands for each, by pages; corrections go through here, so that undo is known everywhere. */
export class Album {
  constructor(id) {
    this.id = id;
    this.groups = [];
    this.onchange = async () => {};
  }

  async load() {
    this.set = await call('GET', `/v1/sets/${this.id}`);
    let page, after, groups = [];
    do {
      page = await call('GET', `/v1/sets/${this.id}/album`, { query: { limit: PAGE, after } });
      groups = groups.concat(page.groups);
      after = page.next;
    } while (after);
    Object.assign(this, { groups: groups.filter((g) => g.n_faces > 0), n_faces: page.n_faces, n_ungrouped: page.n_ungrouped, undoable: page.undo });
  }

  get name() { return this.set.name || 'Album'; }
  group(id) { return this.groups.find((g) => g.id === id); }
  faces(group, query) { return call('GET', `/v1/sets/${this.id}/${group ? `groups/${group}` : 'ungrouped'}`, { query }); }

  async all(group) {
    let faces = [], page = { next: 0 };
    do {
      page = await this.faces(group, { limit: PAGE, after: page.next });
      faces = faces.concat(page.faces);
    } while (page.next);
    return faces;
  }

  async correct(method, path, json) {
    const r = await call(method, `/v1/sets/${this.id}/${path}`, { json });
    await this.onchange(r);
    return r;
  }

  rename(group, name) { return this.correct('PATCH', `groups/${group}`, { name }); }
  merge(into, from) { return this.correct('POST', `groups/${into}/merge`, { from }); }
  split(faces) { return this.correct('POST', 'split', { faces }); }
  give(group, faces) { return this.correct('POST', `groups/${group}/faces`, { faces }); }
  not(group, face) { return this.correct('POST', `groups/${group}/not`, { face }); }

  async undo() {
    const r = await this.correct('POST', 'undo', {});
    toast(`Taken back: ${plainly(r.undone)}.`);
    return r;
  }

  /* For a message: it takes back this correction, or nothing once there has been another. */
  get undoOffer() {
    const what = this.undoable;
    return { label: 'Undo', action: () => (this.undoable === what ? this.undo().catch(failed) : toast('Something else was changed since: the button takes that back first.')) };
  }
}

/* The server's line about a correction, without its numbers. */
export function plainly(what) {
  const n = /\d+/.exec(what || '');
  return [[/^name of/, 'the name'], [/is not group/, '“not this person”'], [/^merge of/, 'the merge'], [/^a group of/, `a group of ${plural(Number(n), 'face')}`],
    [/given to/, `the move of ${plural(Number(n), 'face')}`]].find(([p]) => p.test(what))?.[1] || what;
}

export const titleOf = (g) => g.name || 'somebody unnamed';
export const fileName = (path) => path.slice(path.lastIndexOf('/') + 1);

/* Crops are many, and the server may ask for patience: one that fails is asked for again a little later. */
export function crop(album, face, props = {}) {
  const src = cropAddress(album.id, face);
  let tries = 0;
  return h('img', { src, alt: '', loading: 'lazy', draggable: 'false', ...props, onerror: (e) => {
    if (++tries < 4) setTimeout(() => { if (e.target.isConnected) e.target.src = src; }, 800 * tries);
  } });
}

export function undoButton(album) {
  const b = button('Undo', () => busy(b, () => album.undo()).then(() => refresh()), { symbol: 'undo' });
  const refresh = () => {
    b.disabled = !album.undoable;
    b.title = album.undoable ? `Take back ${plainly(album.undoable)}` : 'Nothing to take back';
  };
  refresh();
  return { button: b, refresh };
}

/* ---- naming ---- */

const known = h('datalist', { id: 'album-names' });
let asked = 0;

async function suggest(text) {
  const mine = ++asked;
  if (!may('read') || text.length < 2) return;
  const { people } = await within('GET', '/v1/people', { query: { match: text, limit: 8 } }).catch(() => ({ people: [] }));
  if (mine === asked) fill(known, people.map((p) => h('option', { value: p.name })));
}

/* The field that asks who a group is. Saved when it is left; Enter goes on to the next one. */
export function nameField(album, group, props = {}) {
  if (!known.isConnected) document.body.append(known);
  let now = group;
  const input = h('input', { class: 'name-field', value: group.name, placeholder: 'Who is this?', maxlength: '200', autocomplete: 'off', spellcheck: 'false', list: 'album-names', ...props,
    oninput: () => suggest(input.value.trim()),
    onkeydown: (e) => {
      if (e.key === 'Escape') { input.value = now.name; input.blur(); }
      if (e.key === 'Enter') { e.preventDefault(); next(); }
    },
    onchange: () => save() });

  function next() {
    const all = [...document.querySelectorAll('.name-field')], to = all.slice(all.indexOf(input) + 1).find((f) => !f.value);
    if (to) to.focus();
    else input.blur();
  }

  async function save() {
    const name = input.value.trim();
    if (name === now.name) return;
    try {
      await album.rename(now.id, name);
      toast(name ? `Named ${name}.` : 'The name was taken away.', album.undoOffer);
    } catch (e) {
      const other = e.code === 'EXISTS' && album.group(e.details.group);
      if (!other) failed(e);
      if (!other || !await offerMerge(album, other, now)) input.value = now.name;
    }
  }

  return { input, update(g) {
    now = g;
    if (document.activeElement !== input) input.value = g.name;
    input.setAttribute('aria-label', `Name of ${g.name || `a person with ${plural(g.n_faces, 'face')}`}`);
  } };
}

/* ---- merging ---- */

const pairOf = (album, a, b) => h('div', { class: 'merge-pair' }, [a, b].map((g) => h('figure', {}, crop(album, g.faces[0].id), h('figcaption', {}, `${titleOf(g)}, ${plural(g.n_faces, 'face')}`))));

/* Two groups under one name: are they one person? Resolves to whether they were merged. */
function offerMerge(album, into, from) {
  return new Promise((done) => {
    const d = dialog(`Is this ${into.name}, too?`, { onclose: () => done(false) });
    const go = button('Yes, merge them', () => busy(go, async () => {
      await mergeGroups(album, into, from);
      done(true);
      d.close();
    }), { kind: 'primary', symbol: 'merge' });
    fill(d.body, h('p', {}, `Another group has the name “${into.name}”. If it is the same person, the two become one; otherwise give this one another name.`), pairOf(album, into, from));
    fill(d.foot, button('No', d.close), go);
    go.focus();
  });
}

export async function mergeGroups(album, into, from) {
  const r = await album.merge(into.id, from.id);
  toast(`Merged: ${titleOf(r)} has ${plural(r.n_faces, 'face')}.`, album.undoOffer);
  return r;
}

/* Choose one group of many, by its face. */
export function pickGroup(album, title, text, label, notThis, onpick) {
  const d = dialog(title, { wide: true });
  const list = h('div', { class: 'pick-list pick-groups' });
  const input = h('input', { type: 'search', placeholder: 'Search by name', 'aria-label': 'Search by name', oninput: () => show() });
  let chosen = null;
  const go = button(label, () => busy(go, async () => { await onpick(chosen); d.close(); }), { kind: 'primary', disabled: true });
  function show() {
    const match = input.value.trim().toLowerCase();
    const some = album.groups.filter((g) => g.id !== notThis && g.name.toLowerCase().includes(match));
    some.sort((a, b) => (b.name !== '') - (a.name !== ''));
    fill(list, some.slice(0, 300).map((g) => h('button', { type: 'button', class: 'pick', 'aria-pressed': String(chosen === g), onclick: (e) => {
      chosen = g;
      go.disabled = false;
      for (const r of list.children) r.setAttribute('aria-pressed', String(r === e.currentTarget));
    } }, h('span', { class: 'portrait', 'aria-hidden': 'true' }, crop(album, g.faces[0].id)), h('span', {}, g.name || 'No name yet', h('small', {}, plural(g.n_faces, 'face'))))),
    some.length === 0 && h('p', { class: 'hint' }, 'Nobody else.'));
  }
  fill(d.body, h('p', {}, text), h('div', { class: 'search' }, icon('search'), input), list);
  fill(d.foot, button('Cancel', d.close), go);
  show();
}

export const mergeDialog = (album, g, onmerged = () => {}) =>
  pickGroup(album, `Merge ${titleOf(g)} with…`, 'Both groups are one person: their faces come together. This can be taken back.', 'Merge', g.id, async (other) => {
    /* the one that has a name stays, else the larger */
    const [into, from] = !g.name && other.name ? [other, g] : [g, other];
    onmerged(await mergeGroups(album, into, from));
  });

/* ---- enrolling ---- */

export function enrolGroup(album, g, onenrolled) {
  const d = dialog('Enrol in the gallery');
  const name = h('input', { value: g.name, required: true, maxlength: '200', list: 'album-names', autocomplete: 'off', oninput: () => { suggest(name.value.trim()); refresh(); } });
  const keep = check('Keep the small pictures of the faces', 'Shown on the person’s page, and needed to move to another model. Without it only the template is stored.', localStorage.getItem('mien.keep') === '1');
  const consent = consentFields(), problem = h('div', {});
  const submit = button('Enrol', () => busy(submit, () => send(0)), { kind: 'primary', symbol: 'plus' });
  const refresh = () => { submit.disabled = !name.value.trim(); };

  async function send(force) {
    const called = name.value.trim();
    localStorage.setItem('mien.keep', keep.input.checked ? '1' : '0');
    fill(problem);
    const k = consent.read(), said = k.purpose || k.basis || k.expires_ms; /* nothing said must not replace what is known of the person */
    try {
      const r = await within('POST', `/v1/sets/${album.id}/groups/${g.id}/enrol`, { json: { name: called, consent: said ? k : undefined, keep_images: keep.input.checked ? 1 : 0, force } });
      const refused = r.pictures.length - r.enrolled;
      toast(`${called} is enrolled with ${plural(r.enrolled, 'face')}${refused ? `; ${refused} were not good enough` : ''}.`,
        may('read') ? { label: 'Show', action: () => { window.location.hash = `#/people/${r.person}`; } } : {});
      d.close();
      if (!g.name) await album.rename(g.id, called).catch(() => {});
      if (onenrolled) onenrolled(r);
    } catch (e) {
      if (!e.details || !e.details.pictures) throw e;
      refuse(e);
    }
  }

  function refuse(e) {
    const other = e.details.pictures.find((p) => p.other_person), final = ['NO_FACE', 'DUPLICATE_IMAGE', 'DO_NOT_ENROL'];
    fill(problem, h('div', { class: 'card pad form', role: 'alert' }, h('p', {}, sentence(e.message)), h('div', { class: 'actions' },
      other && may('read') && h('a', { class: 'button small', href: `#/people/${other.other_person}`, target: '_blank', rel: 'noopener' }, 'Show that person'),
      !final.includes(e.code) && button('Enrol anyway', (ev) => busy(ev.currentTarget, () => send(1)), { kind: 'small' }))));
    problem.scrollIntoView({ block: 'nearest' });
  }

  fill(d.body, h('p', {}, `From now on this person is recognised, in the collection “${session.collection}”. ${g.n_faces > 20 ? 'The best 20 faces are taken.' : 'The faces are checked as pictures are that one enrols.'}`),
    field('Name', name), problem, keep.row, h('details', { class: 'more' }, h('summary', {}, 'Consent and expiry'), h('div', {}, consent.box)));
  fill(d.foot, button('Cancel', d.close), submit);
  refresh();
  name.focus();
}

/* ---- taking the result home ---- */

function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const a = h('a', { href: url, download: name });
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

const cell = (v) => (/[",\r\n]/.test(v) ? `"${String(v).replaceAll('"', '""')}"` : String(v));

export async function download(album, kind) {
  const rows = [];
  let page = { next: undefined };
  do {
    page = await call('GET', `/v1/sets/${album.id}/album`, { query: { limit: PAGE, faces: PAGE, after: page.next } });
    for (const g of page.groups)
      for (const f of g.faces.length < g.n_faces ? await album.all(g.id) : g.faces) rows.push({ path: f.path, face: f.id, group: g.id, name: g.name });
  } while (page.next);
  for (const f of await album.all(0)) rows.push({ path: f.path, face: f.id, group: null, name: '' });
  const name = `${album.name.replace(/[^\p{L}\p{N} _-]/gu, '') || 'album'}.${kind}`;
  if (kind === 'json') save(name, 'application/json', JSON.stringify({ album: album.name, faces: rows }, null, 2));
  else save(name, 'text/csv', ['path,face,group,name', ...rows.map((r) => [r.path, r.face, r.group ?? '', r.name].map(cell).join(','))].join('\r\n') + '\r\n');
}
