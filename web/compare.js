/* Compare: two pictures, one verdict. */
import { within, form } from './api.js';
import { h, fill, button, ruler, spinner, failed, announce, icon, number } from './ui.js';
import { dropZone, takeDrops, chooser, openCamera } from './picture.js';
import { cameraDialog } from './enrol.js';
import { strangerScale, ruledShapes } from './scale.js';

const sides = ['a', 'b'], titles = { a: 'First picture', b: 'Second picture' };

export function comparePage(main) {
  const state = { a: null, b: null, turn: 0 };
  const pair = h('div', { class: 'pair' }), result = h('div', { 'aria-live': 'polite' });
  const tools = h('div', { class: 'actions' });
  fill(main, h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Compare'),
    h('p', {}, 'Do these two pictures show the same person? The largest face of each is compared; neither picture is kept.')), tools), pair, result);

  const put = (side, files) => {
    const free = sides.filter((s) => s !== side && !state[s]);
    files.slice(0, 2).forEach((file, i) => {
      const to = i === 0 ? side : free[0] || sides.find((s) => s !== side);
      if (state[to]) URL.revokeObjectURL(state[to].url);
      state[to] = { file, url: URL.createObjectURL(file) };
    });
    draw();
    compare();
  };

  function draw() {
    fill(tools, (state.a || state.b) && button('Start again', () => { state.a = state.b = null; state.turn++; fill(result); draw(); }, { kind: 'quiet' }));
    fill(pair, sides.map((side) => {
      const one = state[side];
      const camera = button('Camera', () => shoot(side), { symbol: 'camera' });
      const box = h('section', { class: 'side-picture', 'aria-label': titles[side] }, h('h2', {}, titles[side]),
        one ? h('div', { class: 'stage' }, h('img', { src: one.url, alt: one.file.name,
          onerror: (e) => e.target.replaceWith(h('p', { class: 'stage-note' }, one.file.name)) }))
          : dropZone('Drop a picture', side === 'a' ? 'Both at once work too.' : 'JPEG, PNG, WebP or HEIC.', null,
            { multiple: side === 'a', onchoose: (files) => put(side, files), more: [camera] }),
        one && h('div', { class: 'actions' }, chooser('Replace', (files) => put(side, files), { multiple: false }), camera));
      takeDrops(box, (files) => put(side, files));
      return box;
    }));
  }

  const paste = (e) => {
    const files = [...(e.clipboardData ? e.clipboardData.files : [])].filter((f) => f.type.startsWith('image/'));
    if (files.length && !document.querySelector('dialog[open]')) put(!state.a ? 'a' : 'b', files);
  };
  document.addEventListener('paste', paste);

  async function shoot(side) {
    try {
      cameraDialog(await openCamera(), (file) => put(side, [file]));
    } catch (e) {
      failed(e);
    }
  }

  async function compare() {
    if (!state.a || !state.b) return;
    const turn = ++state.turn;
    fill(result, spinner('Comparing'));
    try {
      const [r, scale, shapes] = await Promise.all([within('POST', '/v1/compare', { form: form({ a: state.a.file, b: state.b.file }) }), strangerScale(), ruledShapes()]);
      if (turn === state.turn) showVerdict(result, r, scale, shapes);
    } catch (e) {
      if (turn !== state.turn) return;
      fill(result, h('div', { class: 'card pad verdict' }, icon('warn'), h('p', {}, e.code === 'NO_FACE'
        ? `No face was found in the ${e.details.picture === 'a' ? 'first' : 'second'} picture. Try one in which the face is larger and looks at the camera.` : e.message)));
      if (e.code !== 'NO_FACE') failed(e);
    }
  }

  draw();
  return () => {
    document.removeEventListener('paste', paste);
    for (const s of sides) if (state[s]) URL.revokeObjectURL(state[s].url);
  };
}

function meaning(r) {
  const rate = r.words.charAt(0).toUpperCase() + r.words.slice(1);
  const line = r.fmr > 0 ? ` The threshold lets one pair of strangers in ${number(Math.round(1 / r.fmr))} through.` : '';
  return `${rate} strangers would look this alike.${line}`;
}

function showVerdict(place, r, scale, shapes) {
  const title = r.same ? 'The same person' : 'Different people';
  const several = sides.filter((s) => r[s].faces_found > 1);
  fill(place, h('section', { class: 'card verdict', 'aria-label': 'Verdict' },
    h('div', { class: 'crops' }, sides.map((s) => r[s].crop && h('figure', {}, h('img', { src: r[s].crop, alt: `Face of the ${titles[s].toLowerCase()}, upright` }),
      h('figcaption', {}, s === 'a' ? 'first' : 'second')))),
    h('div', {}, h('h2', {}, title), h('p', {}, meaning(r)), ruler(r.similarity, r.threshold, { large: true, scale, shapes }),
      h('p', { class: 'score' }, `similarity ${r.similarity.toFixed(3)} · threshold ${r.threshold.toFixed(3)}`,
        scale.length > 0 && ' · the small marks say how many strangers come that close'),
      shapes && h('p', { class: 'hint' }, shapes.words),
      several.length > 0 && h('p', { class: 'hint' }, 'There is more than one face: the largest was taken.'))));
  announce(`${title}. ${meaning(r)}`);
}
