/* People: everyone in the collection, found by name or by face. */
import { within, form, imageAddress, may } from './api.js';
import { h, fill, icon, button, badge, dialog, empty, spinner, portrait, ruler, plural, failed, toast, busy, announce, sentence } from './ui.js';
import { dropZone, openCamera } from './picture.js';
import { enrolDialog, cameraDialog } from './enrol.js';

const PAGE = 48;

/* The first kept picture of a person; asked for when the card comes into view. */
const faces = new IntersectionObserver((seen) => {
  for (const e of seen.filter((s) => s.isIntersecting)) {
    faces.unobserve(e.target);
    showFace(e.target);
  }
}, { rootMargin: '200px' });

async function showFace(card) {
  try {
    const p = await within('GET', `/v1/people/${card.dataset.person}`);
    const kept = p.face_list.find((f) => f.has_image);
    if (kept) card.querySelector('.portrait').replaceWith(portrait(p.name, imageAddress(kept.id), card.dataset.kind));
  } catch {
    /* removed meanwhile: the initials stay */
  }
}

export function withFace(e, person, kind = '') {
  e.dataset.person = person.id;
  e.dataset.kind = kind;
  if (person.images > 0) faces.observe(e);
  return e;
}

function card(p) {
  return withFace(h('a', { class: 'person', href: `#/people/${p.id}` }, portrait(p.name, null, 'tile'),
    h('span', { class: 'person-text' }, h('strong', {}, p.name), h('small', {}, plural(p.faces, 'face')), p.expired && h('span', {}, badge('expired', 'warn')))), p, 'tile');
}

export async function peoplePage(main) {
  let turn = 0;
  const grid = h('div', { class: 'people' }), place = h('div', { 'aria-busy': 'true' }, spinner()), more = h('div', { class: 'load-more' });
  const input = h('input', { type: 'search', placeholder: 'Search by name', 'aria-label': 'Search by name' });
  const enrol = () => enrolDialog({ onenrolled: () => load(false) });
  const undo = button('Undo', () => busy(undo, async () => {
    const { undone } = await within('POST', '/v1/people/undo');
    toast(`Taken back: ${undone}.`);
    await load(false);
  }), { symbol: 'undo', title: 'Take back the last rename, merge or split' });
  fill(main, h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'People'), h('p', {}, 'Everyone who is recognised here.')),
    may('enrol') && h('div', { class: 'actions' }, button('Enrol a person', enrol, { kind: 'primary', symbol: 'plus' }))),
  h('div', { class: 'toolbar' }, h('div', { class: 'search' }, icon('search'), input),
    may('recognise') && button('Search by face', searchByFace, { symbol: 'recognise' }), may('enrol') && undo), place, more);

  async function load(after) {
    const mine = ++turn;
    const match = input.value.trim();
    let page;
    try {
      page = await within('GET', '/v1/people', { query: { match, after: after || undefined, limit: PAGE } });
    } catch (e) {
      failed(e);
      if (mine === turn) fill(place, empty('warn', 'The people could not be listed', sentence(e.message)));
      return;
    }
    if (mine !== turn) return;
    place.removeAttribute('aria-busy');
    if (!after) fill(grid);
    grid.append(...page.people.map(card));
    if (grid.children.length) fill(place, grid);
    else if (match) fill(place, empty('search', 'Nobody of that name', `No one’s name contains “${match}”.`));
    else fill(place, empty('people', 'Nobody is enrolled yet', 'Give a person a name and a few pictures. From then on they are recognised; everyone else stays unknown.',
      may('enrol') && button('Enrol a person', enrol, { kind: 'primary', symbol: 'plus' })));
    fill(more, page.next && button('Show more', (e) => busy(e.currentTarget, () => load(page.next))));
    if (match) announce(plural(grid.children.length, 'person', 'people'));
  }

  let timer = 0;
  input.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(() => load(false), 200); });
  await load(false);
}

/* ---- search by face ---- */

function searchByFace() {
  const d = dialog('Search by face', { wide: true });
  const result = h('div', {});
  const look = async ([file]) => {
    fill(result, spinner('Searching'));
    try {
      const { faces: found } = await within('POST', '/v1/identify', { form: form({ file }), query: { top: 5, limit: 1 } });
      if (found.length === 0) fill(result, h('p', {}, 'No face was found in this picture.'));
      else showCandidates(result, found[0]);
    } catch (e) {
      fill(result);
      failed(e);
    }
  };
  const shoot = async () => {
    try {
      cameraDialog(await openCamera(), (file) => look([file]));
    } catch (e) {
      failed(e);
    }
  };
  fill(d.body, dropZone('Drop a picture', 'The largest face in it is searched for.', look, { multiple: false, slim: true, more: [button('Camera', shoot, { symbol: 'camera' })] }), result);
}

function showCandidates(place, face) {
  const known = face.candidates.filter((c) => c.similarity >= face.threshold).length;
  fill(place, h('h3', {}, known ? 'Found' : 'Nobody here is this person'), h('p', { class: 'hint' }, sentence(face.words)),
    face.candidates.map((c) => withFace(h('div', { class: 'candidate' }, portrait(c.name), h('div', {}, h('a', { href: `#/people/${c.person}` }, c.name), ruler(c.similarity, face.threshold)),
      h('span', { class: 'score' }, c.similarity.toFixed(2))), { id: c.person, images: 1 })));
  announce(known ? `Found: ${face.candidates[0].name}` : 'Nobody here is this person');
}

/* ---- choosing a person ---- */

export function pickPerson(title, text, label, notThis, onpick) {
  const d = dialog(title);
  const list = h('div', { class: 'pick-list' });
  const input = h('input', { type: 'search', placeholder: 'Search by name', 'aria-label': 'Search by name', oninput: () => load() });
  let chosen = null;
  const go = button(label, () => busy(go, async () => { await onpick(chosen); d.close(); }), { kind: 'primary', disabled: true });
  async function load() {
    const { people } = await within('GET', '/v1/people', { query: { match: input.value.trim(), limit: 20 } });
    const rows = people.filter((p) => p.id !== notThis).map((p) => withFace(h('button', { type: 'button', class: 'pick', 'aria-pressed': 'false', onclick: (e) => {
      chosen = p;
      go.disabled = false;
      for (const r of list.children) r.setAttribute('aria-pressed', String(r === e.currentTarget));
    } }, portrait(p.name), h('span', {}, p.name, h('small', {}, plural(p.faces, 'face')))), p));
    fill(list, rows.length ? rows : h('p', { class: 'hint' }, 'Nobody else.'));
  }
  fill(d.body, h('p', {}, text), h('div', { class: 'search' }, icon('search'), input), list);
  fill(d.foot, button('Cancel', d.close), go);
  load().catch(failed);
}
