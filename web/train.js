/* Train: the model is tuned on one's own people, and compared with what it was on people held out. What to learn from is
 * chosen and counted here; a run and what came of it are in train_run.js. */
import { session, call, within } from './api.js';
import { h, fill, add, button, badge, field, confirm, dialog, spinner, toast, failed, busy, number, plural, moment, iconButton, icon, sentence, announce } from './ui.js';
import { takeFolders, folderChooser, refusedList, sendSet, removeSet } from './sets.js';
import { progressCard, ended } from './jobs.js';
import { runPage, sourceOf, wayOf, stateBadge, verdictBadge } from './train_run.js';

const ways = [
  ['default', 'As pictures usually differ'],
  ['default,lowres=16-32:0.7', 'Distant, small faces'],
  ['default,brightness=0.35,contrast=0.45,noise=0.06:0.4', 'Poor light'],
  ['default,occlude=0.5:0.5', 'Partly covered faces'],
  ['none,flip=0.5', 'Hardly at all'],
];
const tunes = [['all', 'The whole model'], ['last:8', 'Its last eight layers'], ['head', 'One layer behind it: quickest, changes least']];
const losses = [['arcface', 'Tell people apart, with a margin (ArcFace)'], ['cosface', 'The same, another margin (CosFace)'], ['softmax', 'Tell people apart, without a margin'],
  ['triplet', 'Triplets of pictures'], ['distill', 'Follow the model’s own view of clear pictures']];
const rates = { head: '0.0005' };

export function trainPage(main, id) {
  return id ? runPage(main, id) : startPage(main);
}

const pick = (list, id) => h('select', { id }, list.map(([value, text]) => h('option', { value }, text)));

/* ---- settings ---- */

function settings(getSource) {
  const epochs = h('input', { type: 'number', min: 1, max: 1000, value: '8' }), lr = h('input', { inputmode: 'decimal', placeholder: '0.00005', spellcheck: 'false' });
  const batch = h('input', { type: 'number', min: 2, max: 512, placeholder: 'by how many there are' }), seed = h('input', { type: 'number', min: 0, value: '1' });
  const tune = pick(tunes), loss = pick(losses), augment = pick(ways);
  tune.addEventListener('change', () => { lr.placeholder = rates[tune.value] || '0.00005'; });
  const read = () => ({ epochs: Number(epochs.value) || undefined, lr: lr.value.trim() ? Number(lr.value) : undefined, batch: Number(batch.value) || undefined,
    seed: Number(seed.value), tune: tune.value, loss: loss.value, augment: augment.value });
  const preview = button('Show examples', () => busy(preview, () => showExamples(getSource(), read())), { symbol: 'picture' });
  const element = h('details', { class: 'more card' }, h('summary', {}, 'Details'), h('div', { class: 'form' },
    h('div', { class: 'two' }, field('Passes over the pictures', epochs, 'More passes learn more, and in the end the pictures by heart; the best pass is kept.'), field('What is trained', tune)),
    h('div', { class: 'two' }, field('How pictures are varied', augment, 'So that the model learns faces, not photographs. Choose what your cameras do to them.'), h('div', { class: 'beside' }, preview)),
    h('div', { class: 'two' }, field('What it is taught', loss), field('Learning rate', lr, 'Ten times more soon spoils a good model.')),
    h('div', { class: 'two' }, field('Pictures a step', batch), field('Seed', seed, 'Of all that is random. The same seed holds the same people out.'))));
  return { element, read, preview };
}

async function showExamples(source, body) {
  const picture = await within('POST', '/v1/train/preview', { json: { ...source, ...body }, blob: true });
  const url = URL.createObjectURL(picture), d = dialog('How pictures are varied', { wide: true, onclose: () => URL.revokeObjectURL(url) });
  fill(d.body, h('p', {}, 'One person a row: on the left as it is, then as the model is shown it.'), h('img', { class: 'sheet', src: url, alt: 'Crops of four people, each varied eight ways' }));
  fill(d.foot, button('Close', d.close));
}

/* ---- where from ---- */

function figures(m) {
  const one = (n, text) => h('div', { class: 'figure' }, h('b', {}, number(n)), h('span', {}, text));
  return h('div', { class: 'figures material' }, one(m.people, m.people === 1 ? 'person' : 'people'), one(m.pictures, m.pictures === 1 ? 'picture' : 'pictures'), one(m.people_twice, 'with two or more'), one(m.held_out, 'to be held out'));
}

const leftOut = (m, fromSet) => [
  m.people_left_out > 0 && `${plural(m.people_left_out, 'person', 'people')} ${fromSet ? 'of whom no picture shows a face' : 'of whom no picture was kept'}`,
  m.pictures_left_out > 0 && `${plural(m.pictures_left_out, 'picture')} without a face or in nobody’s folder`].filter(Boolean);

/* What was found, and whether it is enough. */
function judge(m, fromSet) {
  const left = leftOut(m, fromSet);
  const kind = !m.enough ? 'bad' : m.can_show ? 'yes' : 'warn', word = !m.enough ? 'too few' : m.can_show ? 'enough' : 'few';
  return [figures(m), h('p', { class: 'judged' }, badge(word, kind), h('span', {}, sentence(m.text))),
    left.length > 0 && h('p', { class: 'hint' }, `Left out: ${left.join(', ')}.`)];
}

/* ---- the page ---- */

function startPage(main) {
  const leaving = new AbortController();
  const state = { from: 'folder', set: null, material: null };
  const place = h('div', { class: 'stack' }), runs = h('div', { class: 'stack' });
  const source = () => (state.from === 'folder' ? { set: state.set && state.set.id } : {});
  const details = settings(source);
  const start = button('Start training', () => busy(start, begin), { kind: 'primary', disabled: true });
  const ready = () => {
    start.disabled = !(state.material && state.material.enough);
    details.preview.disabled = !(state.material && state.material.pictures > 0);
  };

  async function begin() {
    const job = await within('POST', '/v1/train', { json: { ...source(), ...details.read() } });
    window.location.hash = `#/train/${job.id}`;
  }

  async function count(into, query, fromSet, more = []) {
    state.material = null;
    ready();
    fill(into, spinner('Counting'));
    const mine = state.material = await within('GET', '/v1/train/material', { query, signal: leaving.signal });
    fill(into, judge(mine, fromSet), more);
    announce(mine.text);
    ready();
  }

  function showSet(set, refused = []) {
    state.set = set;
    const counted = h('div', { class: 'stack' });
    const remove = button('Remove these pictures', () => busy(remove, async () => {
      await removeSet(set.id);
      state.set = state.material = null;
      toast('The pictures were removed.');
      folder();
    }), { kind: 'danger-quiet small', symbol: 'trash' });
    fill(place, h('section', { class: 'card pad stack' }, h('div', { class: 'set-head' }, h('h2', {}, set.name || 'Folder'),
      h('div', { class: 'actions' }, folderChooser('Another folder', send, { kind: 'small' }), remove)), counted));
    count(counted, { set: set.id }, true, [refusedList(refused), h('p', { class: 'hint' }, `Kept until ${moment(set.expires_ms)}: an aligned cut-out of each face, not the pictures.`)]).catch(failed);
  }

  async function send(found) {
    if (found.items.length === 0) return toast('There are no pictures in this folder.', { kind: 'error' });
    const card = progressCard({ onstop: () => sending.abort() }), sending = new AbortController();
    leaving.signal.addEventListener('abort', () => sending.abort());
    state.material = null;
    ready();
    fill(place, card.element);
    card.show('Sending pictures and finding faces', 0, found.items.length);
    try {
      const { set, refused } = await sendSet(found, { purpose: 'train', signal: sending.signal, onprogress: (p) => card.show('Sending pictures and finding faces', p.done, p.total) });
      showSet(set, refused);
    } catch (e) {
      failed(e);
      folder();
    }
    return undefined;
  }

  async function folder() {
    const before = h('div', {});
    const drop = h('div', { class: 'drop slim' }, h('div', { class: 'empty-mark' }, icon('people')), h('p', { class: 'drop-title' }, 'Drop a folder of people'),
      h('p', { class: 'hint' }, 'A folder for each person, named after them, with two pictures or more. Fifty people or more are better than a few.'),
      h('div', { class: 'actions' }, folderChooser('Choose a folder', send)), before);
    takeFolders(drop, send);
    fill(place, drop);
    ready();
    const { sets } = await call('GET', '/v1/sets', { signal: leaving.signal });
    const usable = sets.filter((s) => s.people > 1);
    if (usable.length) add(before, h('div', { class: 'sent-before' }, h('span', { class: 'hint' }, 'Sent before:'),
      usable.slice(0, 5).map((s) => button(`${s.name || 'folder'} · ${plural(s.people, 'person', 'people')}`, () => showSet(s), { kind: 'small' }))));
  }

  function collection() {
    const counted = h('div', { class: 'stack' });
    fill(place, h('section', { class: 'card pad stack' }, h('h2', {}, `People of “${session.collection}”`),
      h('p', { class: 'hint' }, 'Only people whose pictures were kept when they were enrolled can be learnt from.'), counted));
    count(counted, {}, false).catch(failed);
  }

  const choice = (value, title, text, show) => h('label', { class: 'choice' }, h('input', { type: 'radio', name: 'from', value, checked: state.from === value, onchange: () => {
    state.from = value;
    state.material = null;
    if (value === 'folder' && state.set) showSet(state.set);
    else Promise.resolve(show()).catch(failed);
  } }), h('span', {}, h('strong', {}, title), h('small', {}, text)));

  fill(main, h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Train'),
    h('p', {}, 'Tune the model to your own people. Some of them are held out and never trained on: on these it shows whether it got better.'))),
  h('div', { class: 'stack' },
    h('fieldset', { class: 'choices' }, h('legend', {}, 'Learn from'), choice('folder', 'A folder of people', 'Pictures that you have at hand', folder),
      choice('collection', 'People of this collection', 'Whose pictures were kept', collection)),
    place, details.element, h('div', { class: 'actions' }, start, h('span', { class: 'hint' }, 'It runs beside recognition, on one core, and can be stopped at any time.')), runs));
  ready();
  folder().catch(failed);
  earlier(runs, leaving.signal).catch(failed);
  return () => leaving.abort();
}

/* ---- earlier runs ---- */

async function earlier(place, signal) {
  const { jobs } = await call('GET', '/v1/jobs', { query: { kind: 'train' }, signal });
  const remove = async (job) => {
    if (!await confirm('Remove this run?', 'Its model and its report are removed with it. This cannot be undone.', 'Remove')) return;
    try {
      await call('DELETE', `/v1/jobs/${job.id}`);
      await earlier(place, signal);
    } catch (e) {
      failed(e);
    }
  };
  const state = (job, i) => {
    const cell = h('td', {}, stateBadge(job));
    if (job.state === 'done' && i < 20) verdictBadge(job, signal).then((b) => fill(cell, b)).catch(() => { /* it stays done */ });
    return cell;
  };
  fill(place, jobs.length > 0 && [h('h2', { class: 'runs-head' }, 'Runs'), h('div', { class: 'card table-wrap', tabindex: '0', role: 'region', 'aria-label': 'Runs' }, h('table', {},
    h('thead', {}, h('tr', {}, ['Started', 'Learnt from', 'How', 'Outcome'].map((t) => h('th', { scope: 'col' }, t)), h('td', {}, h('span', { class: 'unseen' }, 'Actions')))),
    h('tbody', {}, jobs.map((j, i) => h('tr', {}, h('td', { class: 'line' }, h('a', { href: `#/train/${j.id}` }, moment(j.created_ms))), h('td', {}, sourceOf(j)), h('td', {}, wayOf(j)), state(j, i),
      h('td', { class: 'end' }, ended(j) && iconButton(`Remove the run of ${moment(j.created_ms)}`, 'trash', () => remove(j))))))))]);
}
