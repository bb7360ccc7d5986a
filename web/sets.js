/* Many pictures at once: folders dropped or chosen, and sending them as a set (POST /v1/sets), a few at a time. A picture of a
 * folder keeps its name, PERSON/FILE; the server keeps faces, not pictures. items: [{ path, file }] */
import { call } from './api.js';
import { h, button, plural } from './ui.js';
import { MAX_BYTES } from './picture.js';

const AT_ONCE = 3;
const picture = /\.(jpe?g|png|webp|heic|heif)$/i;

/* Drop the one folder that all lie in: its name is the whole's, not a person's. Returns { name, items }. */
export function arrange(found) {
  const items = found.filter((i) => picture.test(i.path) && !i.path.split('/').some((part) => part.startsWith('.')));
  const tops = new Set(items.map((i) => (i.path.includes('/') ? i.path.slice(0, i.path.indexOf('/')) : '')));
  const [top] = tops;
  if (tops.size === 1 && top)
    for (const i of items) i.path = i.path.slice(top.length + 1);
  items.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return { name: tops.size === 1 ? top : '', items };
}

async function walk(entry, into) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => { entry.file(done, fail); });
    into.push({ path: entry.fullPath.replace(/^\//, ''), file });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, fail) => { reader.readEntries(done, fail); });
    if (!some.length) return;
    for (const e of some) await walk(e, into);
  }
}

/* What a drop holds, folders walked through. Entries must be taken before the first wait. */
export async function dropped(transfer) {
  const entries = [...transfer.items].filter((i) => i.kind === 'file').map((i) => i.webkitGetAsEntry()).filter(Boolean);
  const found = [];
  for (const e of entries) await walk(e, found);
  return arrange(found);
}

/* Let `area` take dropped folders and pictures: onchoose({ name, items }). */
export function takeFolders(area, onchoose) {
  let depth = 0;
  const leave = () => { depth = 0; area.classList.remove('over'); };
  const files = (e) => [...e.dataTransfer.types].includes('Files'); /* what is moved about on the page has none */
  area.addEventListener('dragenter', (e) => { if (files(e)) { e.preventDefault(); depth++; area.classList.add('over'); } });
  area.addEventListener('dragover', (e) => { if (files(e)) e.preventDefault(); });
  area.addEventListener('dragleave', (e) => { if (files(e) && --depth <= 0) leave(); });
  area.addEventListener('drop', async (e) => {
    if (!files(e)) return;
    e.preventDefault();
    leave();
    onchoose(await dropped(e.dataTransfer));
  });
}

/* A button that asks for a folder, or, `folder` false, for pictures. */
export function folderChooser(label, onchoose, { kind = 'primary', symbol = 'picture', folder = true } = {}) {
  const input = h('input', { type: 'file', multiple: true, webkitdirectory: folder, accept: folder ? undefined : 'image/*,.heic,.heif', class: 'unseen',
    tabindex: '-1', 'aria-label': label, onchange: () => {
      const found = [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
      input.value = '';
      onchoose(arrange(found));
    } });
  return h('span', { class: 'chooser' }, input, button(label, () => input.click(), { kind, symbol }));
}

const asIs = (file) => (file.type.startsWith('image/') ? file : new Blob([file], { type: 'application/octet-stream' }));

/* Send all; resolves to { set, refused: [{ path, why }] }. A picture that cannot be read is told of, the others go on.
 * onprogress({ done, total, refused }). Whoever aborts `signal` gets an AbortError, and the set is removed. `into`: a set that there
 * is, which takes the pictures and stays. */
export async function sendSet({ name, items }, { onprogress = () => {}, signal, hours, into, purpose } = {}) {
  const set = into || await call('POST', '/v1/sets', { json: { name: (name || '').slice(0, 60), hours, purpose }, signal });
  const refused = [], queue = [...items];
  let done = 0;
  async function send({ path, file }) {
    if (file.size > MAX_BYTES) throw new Error('larger than 16 MB');
    await call('POST', `/v1/sets/${set.id}/pictures`, { query: { path }, form: asIs(file), signal });
  }
  async function worker() {
    for (let item = queue.shift(); item; item = queue.shift()) {
      try {
        await send(item);
      } catch (e) {
        if (e.name === 'AbortError' || e.status === 0 || e.status === 401 || e.status === 404) throw e;
        refused.push({ path: item.path, why: e.message });
      }
      onprogress({ done: ++done, total: items.length, refused: refused.length });
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } catch (e) {
    queue.length = 0;
    if (!into) await call('DELETE', `/v1/sets/${set.id}`).catch(() => {});
    throw e;
  }
  return { set: await call('GET', `/v1/sets/${set.id}`), refused };
}

/* What could not be taken, to be unfolded; nothing where all was. */
export const refusedList = (refused) => refused.length > 0 && h('details', { class: 'more card' }, h('summary', {}, `${plural(refused.length, 'picture')} could not be taken`),
  h('div', {}, h('ul', { class: 'refused' }, refused.slice(0, 200).map((r) => h('li', {}, h('span', { class: 'mono' }, r.path), h('small', {}, r.why))))));

export const removeSet = (id) => call('DELETE', `/v1/sets/${id}`);
export const cropAddress = (set, face) => `/v1/sets/${set}/faces/${face}`;
