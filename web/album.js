/* Album: a folder of pictures becomes a wall of people. This file is the way in: sending the pictures, and the albums that there
 * are; the wall is in album-wall.js, one person's faces in album-group.js. Addresses: #/album, #/album/SET, #/album/SET/GROUP. */
import { call } from './api.js';
import { h, fill, icon, iconButton, confirm, spinner, plural, moment, failed } from './ui.js';
import { takeFolders, folderChooser, removeSet } from './sets.js';
import { sendInto } from './album-send.js';
import { wallPage, arrive } from './album-wall.js';
import { groupPage } from './album-group.js';

export function albumPage(main, set, group) {
  if (set && group) return groupPage(main, set, Number(group));
  return set ? wallPage(main, set) : startPage(main);
}

/* ---- the way in ---- */

async function startPage(main) {
  const leave = new AbortController();
  const place = h('div', {}), list = h('div', {}, spinner());
  const whole = h('div', { class: 'whole stack' });
  const title = h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Album'),
    h('p', {}, 'The faces in a pile of pictures, sorted into people. You say who they are; what was sorted wrongly is put right with a click.')));
  const zone = () => h('div', { class: 'drop' }, h('div', { class: 'empty-mark' }, icon('album')), h('p', { class: 'drop-title' }, 'Drop a folder of pictures'),
    h('p', { class: 'hint' }, 'JPEG, PNG, WebP or HEIC, thousands if you like. The pictures are looked at and forgotten; what stays for a while are the faces.'),
    h('div', { class: 'actions' }, folderChooser('Choose a folder', take, { symbol: 'picture' }), folderChooser('Choose pictures', take, { kind: '', folder: false })));
  let busy = false;

  async function take(chosen) {
    if (busy) return;
    busy = true;
    const sent = await sendInto(place, { ...chosen, name: chosen.name || 'Pictures' }, { signal: leave.signal });
    busy = false;
    if (leave.signal.aborted) return;
    if (sent) {
      arrive(sent);
      window.location.hash = `#/album/${sent.set.id}`;
    } else fill(place, zone());
  }

  async function remove(s) {
    if (!await confirm(`Remove “${s.name || 'Album'}”?`, `Its ${plural(s.faces, 'face')}, groups and names are destroyed. Your pictures are not touched. This cannot be undone.`, 'Remove')) return;
    await removeSet(s.id).catch(failed);
    await showList();
  }

  async function showList() {
    const { sets } = await call('GET', '/v1/sets').catch((e) => { failed(e); return { sets: [] }; });
    const albums = sets.filter((s) => s.purpose === 'album').sort((a, b) => b.created_ms - a.created_ms);
    fill(list, albums.length > 0 && h('section', { class: 'card', 'aria-labelledby': 'albums-title' }, h('div', { class: 'panel-head' }, h('h2', { id: 'albums-title' }, 'Albums')),
      h('ul', { class: 'album-list' }, albums.map((s) => h('li', {}, h('a', { href: `#/album/${s.id}` }, h('strong', {}, s.name || 'Album'),
        h('small', {}, `${plural(s.faces, 'face')} in ${plural(s.pictures, 'picture')} · removed on ${moment(s.expires_ms)}`)),
      iconButton(`Remove ${s.name || 'Album'}`, 'trash', () => remove(s)))))));
  }

  fill(place, zone());
  fill(main, whole);
  fill(whole, title, place, list);
  takeFolders(whole, take);
  await showList();
  return () => leave.abort();
}
