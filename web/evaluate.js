/* Evaluate: choose people whose names are known, measure, and find what was measured before. One result: evaluation.js. */
import { call, within, form, session } from './api.js';
import { h, fill, icon, button, iconButton, field, table, check, badge, spinner, plural, number, moment, failed, toast, sentence } from './ui.js';
import { takeFolders, folderChooser, sendSet } from './sets.js';
import { progressCard } from './jobs.js';
import { percent } from './plot.js';
import { evaluationPage, startJob, openJob } from './evaluation.js';
import { inForceCard } from './calibration.js';

export const evaluatePage = (main, job) => (job ? evaluationPage(main, job) : startPage(main));

const head = (...actions) => h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Evaluate'),
  h('p', {}, 'How often is somebody mistaken for another, how often missed? Measure it on pictures of people whose names you know.')), actions);

const people = (items) => new Set(items.filter((i) => i.path.includes('/')).map((i) => i.path.slice(0, i.path.indexOf('/')))).size;

/* ---- choosing a file of text ---- */

function textChooser(label, onfile, options = {}) {
  const input = h('input', { type: 'file', accept: '.csv,.txt,text/csv,text/plain', class: 'unseen', tabindex: '-1', 'aria-label': label,
    onchange: () => { const [file] = input.files; input.value = ''; if (file) onfile(file); } });
  return h('span', { class: 'chooser' }, input, button(label, () => input.click(), options));
}

/* A list in the format of Labeled Faces in the Wild becomes the CSV that the server reads: a first line of FOLDS and pairs of
 * each kind in a fold, then NAME I J or NAME I OTHER J; the pictures are NAME/NAME_0001.jpg. */
async function asCsv(file) {
  const lines = (await file.text()).split(/\r?\n/).filter((l) => l.trim());
  if (!lines.length || !/^\s*\d+(\s+\d+)?\s*$/.test(lines[0])) return file;
  const sizes = lines[0].trim().split(/\s+/).map(Number), [folds, each] = sizes.length === 2 ? sizes : [1, sizes[0]];
  const picture = (name, i) => `"${`${name}/${name}_${String(i).padStart(4, '0')}.jpg`.replaceAll('"', '""')}"`;
  const rows = lines.slice(1).map((line, i) => {
    const w = line.trim().split(line.includes('\t') ? '\t' : /\s+/);
    if (w.length !== 3 && w.length !== 4) throw new Error(`Line ${i + 2} of ${file.name} is neither NAME I J nor NAME I OTHER J.`);
    const [a, b] = w.length === 3 ? [picture(w[0], w[1]), picture(w[0], w[2])] : [picture(w[0], w[1]), picture(w[2], w[3])];
    return `${a},${b},${w.length === 3 ? 1 : 0}${folds > 1 ? `,${Math.floor(i / (2 * each))}` : ''}`;
  });
  return new File([`a,b,mated${folds > 1 ? ',fold' : ''}\n${rows.join('\n')}\n`], file.name, { type: 'text/csv' });
}

async function measureScores(file) {
  try {
    openJob(await within('POST', '/v1/eval', { form: form({ scores: file }) }));
  } catch (e) {
    failed(e);
  }
}

/* ---- what to measure ---- */

const kinds = [
  ['verify', 'Two pictures: the same person?', 'Every two pictures are compared. Says which threshold lets how many strangers through, and whom it misses.'],
  ['identify', 'Who is it, among these people?', 'Half of the people are enrolled with half of their pictures; all other pictures are searched for. Says how often strangers are named.'],
  ['collection', `Who is it, in my gallery?`, 'The pictures are searched for in the gallery. A folder has the name that its person has there; all others are strangers to it.'],
  ['calibrate', 'Fit the thresholds to these people', 'Says from which similarity on how many of them would be taken for each other. Nothing changes until you apply it.'],
];
const rates = [['', 'the threshold in force'], ['0.01', '1 in 100'], ['0.001', '1 in 1,000'], ['0.0001', '1 in 10,000'], ['0.00001', '1 in 100,000']];

/* The card that asks; onstart(kind, more) when it is answered. */
function questions(title, text, onstart, oncancel) {
  let pairs = null;
  const name = `measure-${Math.random().toString(36).slice(2)}`;
  const choices = kinds.map(([kind, label, hint], i) => {
    const input = h('input', { type: 'radio', name, value: kind, checked: i === 0, onchange: () => show() });
    return { kind, input, row: h('label', { class: 'choice' }, input, h('span', {}, h('strong', {}, label.replace('my gallery', `“${session.collection}”`)), h('small', {}, hint))) };
  });
  const rate = h('select', {}, rates.map(([value, label]) => h('option', { value }, label)));
  const crops = check('Show the faces of the worst errors in the report', 'The report is then to be kept like the photographs.');
  const list = h('div', { class: 'actions' }), only = h('div', { class: 'form' });
  const chosen = () => choices.find((c) => c.input.checked).kind;
  function showList() {
    fill(list, pairs ? [h('span', { class: 'file-name' }, icon('check'), pairs.name), button('Compare all', () => { pairs = null; showList(); }, { kind: 'quiet small' })]
      : textChooser('Only the pairs of a list…', async (file) => {
        pairs = await asCsv(file).catch(failed);
        showList();
      }, { kind: 'small' }));
  }
  function show() {
    only.hidden = chosen() !== 'verify';
  }
  const go = button('Measure', () => onstart(chosen(), chosen() === 'verify' ? { fmr: rate.value, pictures: crops.input.checked ? '1' : '', pairs: pairs || '' } : {}), { kind: 'primary' });
  fill(only, h('div', { class: 'two' }, field('Decide at', rate, 'False matches that the threshold lets through.'), h('div', { class: 'field' }, h('span', { class: 'label' }, 'Pairs'), list,
    h('p', { class: 'hint' }, 'CSV with the columns a, b and mated (1 or 0), or LFW’s format.'))), crops.row);
  showList();
  show();
  return h('section', { class: 'card pad form', 'aria-label': 'What to measure' }, h('div', {}, h('h2', {}, title), h('p', { class: 'hint' }, text)),
    h('fieldset', { class: 'choices' }, h('legend', {}, 'What do you want to know?'), choices.map((c) => c.row)), only, h('div', { class: 'actions' }, go, button('Cancel', oncancel)));
}

/* ---- the start ---- */

const states = { queued: 'waiting', running: 'running', failed: 'failed', stopped: 'stopped' };

const kindOf = (job) => (job.kind === 'calibrate' ? 'Calibration' : { verify: 'Pairs', identify: 'Searches', scores: 'Scores' }[job.args.mode] || 'Evaluation');

/* Earlier work, with the figure that matters; figures are asked for one by one, for lists are without. */
async function earlier(place) {
  const [a, b] = await Promise.all(['eval', 'calibrate'].map((kind) => call('GET', '/v1/jobs', { query: { kind } })));
  const jobs = [...a.jobs, ...b.jobs].sort((x, y) => y.created_ms - x.created_ms);
  const figure = async (cell, job) => {
    if (job.state !== 'done' || job.kind !== 'eval') return fill(cell, job.kind === 'calibrate' && job.state === 'done' ? badge('fitted', 'yes') : badge(states[job.state], job.state === 'failed' ? 'bad' : ''));
    const { result: r } = await call('GET', `/v1/jobs/${job.id}`);
    return fill(cell, r.mode === 'identify' ? `${percent(r.rank1)} named first` : `${percent(r.accuracy)} decided rightly`);
  };
  const remove = async (job) => {
    try {
      await call('DELETE', `/v1/jobs/${job.id}`, { query: { forget: 1 } });
      await earlier(place);
    } catch (e) {
      failed(e);
    }
  };
  fill(place, jobs.length > 0 && h('section', { 'aria-labelledby': 'earlier' }, h('h2', { class: 'section-title', id: 'earlier' }, 'Measured before'),
    table('Measured before', ['What', 'On', 'Came to', 'When', ''], jobs.map((job) => {
      const cell = h('td', {});
      figure(cell, job).catch(() => {}); /* removed meanwhile */
      return h('tr', {}, h('td', {}, h('a', { href: `#/evaluate/${job.id}` }, kindOf(job))), h('td', { class: 'clip' }, job.args.name || 'people'), cell, h('td', { class: 'line' }, moment(job.created_ms)),
        h('td', { class: 'end' }, iconButton(`Remove ${kindOf(job)} of ${moment(job.created_ms)}`, 'trash', () => remove(job))));
    }))));
}

async function startPage(main) {
  let sending = null;
  const place = h('div', { class: 'stack' }), before = h('div', {}), calibration = h('div', {});
  const { sets } = await call('GET', '/v1/sets');
  const usable = sets.filter((s) => s.people > 1).sort((a, b) => b.created_ms - a.created_ms);

  function ask() {
    const zone = h('div', { class: 'drop' }, h('div', { class: 'empty-mark' }, icon('evaluate')), h('p', { class: 'drop-title' }, 'Drop a folder of people'),
      h('p', { class: 'hint' }, 'A folder for each person, with two pictures or more. Faces are kept for a day, pictures are not.'),
      h('div', { class: 'actions' }, folderChooser('Choose a folder', chosen), textChooser('Scores of any matcher…', measureScores, { symbol: 'evaluate' })),
      usable.length > 0 && h('p', { class: 'again' }, h('span', {}, 'or again: '), usable.slice(0, 4).map((s) => button(`${s.name || 'people'}, ${plural(s.people, 'person', 'people')}`, () => again(s), { kind: 'quiet small' }))));
    takeFolders(zone, chosen);
    fill(place, zone);
  }

  function again(set) {
    fill(place, questions(set.name || 'People sent before', `${plural(set.people, 'person', 'people')}, ${plural(set.pictures, 'picture')}. Their faces are here until ${moment(set.expires_ms)}.`,
      async (kind, more) => { try { openJob(await startJob(kind, set.id, more)); } catch (e) { failed(e); } }, ask));
  }

  function chosen(folder) {
    const n = people(folder.items);
    if (n < 2) {
      toast(folder.items.length ? 'There are no two people in this folder: it takes a folder for each, with pictures in it.' : 'There is no picture in this folder.', { kind: 'error' });
      return;
    }
    fill(place, questions(folder.name || 'People', `${plural(n, 'person', 'people')}, ${plural(folder.items.length, 'picture')}.`, (kind, more) => send(folder, kind, more), ask));
  }

  async function send(folder, kind, more) {
    sending = new AbortController();
    const card = progressCard({ onstop: () => sending.abort(), stopLabel: 'Cancel' });
    const what = 'Sending pictures, finding faces';
    card.show(what, 0, folder.items.length);
    fill(place, card.element);
    try {
      const { set, refused } = await sendSet(folder, { purpose: 'evaluate', signal: sending.signal, onprogress: (p) => card.show(what, p.done, p.total,
        `${number(p.done)} of ${number(p.total)}${p.refused ? `, ${number(p.refused)} could not be read` : ''}`) });
      if (refused.length) toast(`${plural(refused.length, 'picture')} could not be read, among them ${refused[0].path}: ${sentence(refused[0].why)}`, { kind: 'error' });
      sending = null;
      openJob(await startJob(kind, set.id, more));
    } catch (e) {
      sending = null;
      failed(e);
      if (place.isConnected) ask();
    }
  }

  fill(main, head(), h('div', { class: 'stack' }, place, before, calibration));
  ask();
  fill(before, spinner());
  earlier(before).catch((e) => { fill(before); failed(e); });
  inForceCard(calibration).catch(failed);
  return () => { if (sending) sending.abort(); };
}

