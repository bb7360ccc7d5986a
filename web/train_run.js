/* One run of training: live curves while it goes on, and then the verdict, before and after, and how to use the model. */
import { call } from './api.js';
import { h, fill, button, badge, icon, facts, failed, busy, number, plural, bytes, moment, announce, sentence } from './ui.js';
import { follow, ended, stopJob, fileAddress, progressCard } from './jobs.js';
import { plot, percent } from './plot.js';

const tunes = { all: 'whole model', head: 'one layer behind it' };

export const sourceOf = (job) => `${plural(job.args.people, 'person', 'people')}, ${plural(job.args.pictures, 'picture')} ${job.args.set ? 'of a folder' : `of “${job.args.collection}”`}`;
export const wayOf = (job) => `${tunes[job.args.tune] || `last ${job.args.tune.slice(5)} layers`}, ${plural(job.args.epochs, 'pass', 'passes')}`;
const states = { queued: ['waiting', ''], running: ['running', 'yes'], done: ['done', ''], failed: ['failed', 'bad'], stopped: ['stopped', 'warn'] };
export const stateBadge = (job) => badge(...states[job.state]);

/* What a run that is done has shown; the list of jobs leaves results out. */
export async function verdictBadge(job, signal) {
  const { result } = await call('GET', `/v1/jobs/${job.id}`, { signal });
  return result.better > 0 ? badge('better', 'yes') : result.better < 0 ? badge('worse', 'bad') : badge('not shown better');
}

/* ---- while it runs ---- */

const titles = { waiting: 'Waiting for its turn', gathering: 'Cutting faces out', reading: 'Reading the faces', embedding: 'Asking the model you have', training: 'Training', validating: 'Trying it on the people held out', comparing: 'Comparing before and after' };

function timeLeft(seconds) {
  if (seconds === null || seconds === undefined) return '';
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s left`;
  return seconds < 5400 ? `about ${Math.round(seconds / 60)} min left` : `about ${(seconds / 3600).toFixed(1)} h left`;
}

function say(card, job) {
  const p = job.progress, steps = ['training', 'validating'].includes(p.phase);
  const words = steps ? [`Pass ${p.epoch} of ${p.epochs}`, `step ${number(p.done)} of ${number(p.total)}`, timeLeft(p.seconds_left)].filter(Boolean).join(' · ')
    : p.phase === 'waiting' ? 'Another job is running; this one is next.' : p.total && p.phase !== 'comparing' ? undefined : '';
  card.show(titles[p.phase] || p.phase, p.done, p.phase === 'comparing' ? 0 : p.total, words);
}

/* Loss and score side by side; update(history). */
function curves(epochs) {
  const x = { label: 'step', lo: 0 };
  const loss = plot({ title: 'Loss', text: 'Falls while the model learns the people it is trained on.', x, y: { label: 'running mean' }, series: [{ name: 'loss', kind: 'a', points: [] }] });
  const y = (lo) => ({ label: 'recognised', lo, hi: 1, format: percent });
  const score = plot({ title: 'On people held out', text: 'Pairs of one person that are recognised, at one stranger in a hundred let through.', x: { label: 'pass', lo: 0, hi: epochs <= 30 ? epochs : undefined, format: (v) => (Number.isInteger(v) ? number(v) : '') },
    y: y(0), series: [{ name: 'recognised', kind: 'b', dots: true, points: [] }] });
  const element = h('div', { class: 'curves' }, h('section', { class: 'card pad' }, loss), h('section', { class: 'card pad' }, score));
  let drawn = '';
  return { element, update(history, before) {
    const now = JSON.stringify([history, before]);
    if (now === drawn) return;
    drawn = now;
    loss.update({ series: [{ name: 'loss', kind: 'a', points: history.loss.map((p) => ({ x: p.step, y: p.loss })) }] });
    const least = Math.min(0.95, before ?? 1, ...history.score.map((p) => p.score));
    score.update({ y: y(Math.floor(20 * least - 0.2) / 20), series: [{ name: 'recognised', kind: 'b', dots: history.score.length < 50, points: history.score.map((p) => ({ x: p.epoch, y: p.score })) }],
      marks: before === undefined ? [] : [{ y: before, kind: 'd', label: 'the model you have' }] });
  } };
}

/* ---- what came of it ---- */

const share = (v) => `${(100 * v).toFixed(v < 0.1 ? 2 : 1)} %`;
const range = (r) => [h('b', {}, share(r.value)), ' ', h('small', {}, `${share(r.lo)} to ${share(r.hi)}`)];

function words(r) {
  if (!r.before) return ['Nothing could be measured', 'Too few people with two pictures were held out. Without a measure, keep the model you have.', 'warn'];
  const from = r.before.fnmr_at_far_1e2.value, to = r.after.fnmr_at_far_1e2.value;
  const told = `Of the pairs of pictures of ${plural(r.held_out_people, 'person', 'people')} it never saw, ${share(from)} were not recognised before and ${share(to)} are not now, with one stranger in a hundred let through.`;
  if (r.better > 0) return ['Better on people it never saw', told, 'yes'];
  const few = r.held_out_people < 6 ? ' So few people cannot show a difference.' : r.change.lo === r.change.hi ? ' That is no difference.'
    : ` The difference lies between ${points(r.change.lo)} and ${points(r.change.hi)} points: it may be chance.`;
  return r.better < 0 ? ['Worse: keep the model you have', told, 'bad'] : ['Not shown to be better: keep the model you have', told + few, 'warn'];
}

const points = (v) => `${v < 0 ? '−' : '+'}${Math.abs(100 * v).toFixed(1)}`;

function table(r) {
  const rows = [
    ['Not recognised, 1 stranger in 100 let through', (f) => range(f.fnmr_at_far_1e2), r.after.supported_1e2],
    ['Not recognised, 1 stranger in 1,000 let through', (f) => range(f.fnmr_at_far_1e3), r.after.supported_1e3],
    ['Equal error rate', (f) => h('b', {}, share(f.eer)), true],
    ['Nearest of the people held out is right', (f) => (f.accuracy ? range(f.accuracy) : '–'), true],
  ];
  return [h('div', { class: 'table-wrap before-after', tabindex: '0', role: 'region', 'aria-label': 'Before and after' }, h('table', {},
    h('thead', {}, h('tr', {}, ['On the people held out', 'Before', 'After'].map((t) => h('th', { scope: 'col' }, t)))),
    h('tbody', {}, rows.map(([name, cell, sure]) => h('tr', {}, h('th', { scope: 'row' }, name, !sure && ' *'), h('td', { class: 'line' }, cell(r.before)), h('td', { class: 'line' }, cell(r.after))))))),
  h('p', { class: 'hint panel-foot' }, 'With 95 % intervals over people.', !(r.after.supported_1e2 && r.after.supported_1e3) && ' * Too few pairs of strangers for this rate: a tendency.')];
}

const labels = { 'model.mien': 'Download the model', 'report.html': 'Download the report' };

const downloads = (job) => h('div', { class: 'actions' }, job.files.map((f) => {
  const kind = f.name === 'model.mien' && job.result.better > 0 ? 'primary' : '';
  return h('a', { class: `button ${kind}`, href: fileAddress(job, f.name), download: f.name }, icon('down'), h('span', {}, `${labels[f.name] || f.name} (${bytes(f.bytes)})`));
}));

const command = (text) => h('code', { class: 'command' }, text.split(' ').map((word) => [h('span', { class: 'line' }, word), ' ']));

function howTo() {
  return h('details', { class: 'more card' }, h('summary', {}, 'How to use the tuned model'), h('div', {}, h('ol', { class: 'steps' },
    h('li', {}, h('p', {}, 'Fit its thresholds: those of the old model do not hold for it, and a model without any does not serve. Take labelled pictures of other people than those it learnt from.'),
      command('mien calibrate --model model.mien --data PEOPLE --out curve.json'), command('mien model import model.mien --calibration curve.json --out tuned.mien')),
    h('li', {}, h('p', {}, 'Stop the server, and give each collection’s templates to the new model. They are made anew from kept pictures; whoever has none is enrolled anew.'), command('mien gallery migrate COLLECTION.gallery --model tuned.mien')),
    h('li', {}, h('p', {}, 'Start the server with it.'), command('mien serve --model tuned.mien')))));
}

function doneCard(job) {
  const r = job.result, [title, text, kind] = words(r);
  return [outcome(kind, title, text, downloads(job)),
  r.before && h('section', { class: 'card' }, h('div', { class: 'panel-head' }, h('h2', {}, 'Before and after')), table(r)), howTo()];
}

function about(job) {
  const r = job.result, a = job.args;
  return h('section', { class: 'card pad' }, h('h2', {}, 'The run'), facts(['Learnt from', sourceOf(job)], ['Trained', wayOf(job)],
    r && ['Trained on', `${plural(r.people - r.held_out_people, 'person', 'people')}, ${plural(r.pictures, 'picture')}`],
    r && ['Held out', `${plural(r.held_out_people, 'person', 'people')}, ${plural(r.held_out_pictures, 'picture')}`],
    r && r.left_out + r.near_duplicates > 0 && ['Left out', `${plural(r.left_out, 'picture')} that could not be read, ${number(r.near_duplicates)} that nearly equal one trained on`],
    r && r.people_without_pictures > 0 && ['Without pictures', plural(r.people_without_pictures, 'person', 'people')],
    ['Taught by', `${a.loss}, learning rate ${a.lr}`], ['Pictures varied', a.augment || 'default'], ['Seed', number(a.seed)], ['Started', moment(job.started_ms || job.created_ms)],
    job.ended_ms && job.started_ms && ['Took', `${number(Math.max(1, Math.round((job.ended_ms - job.started_ms) / 1000)))} s`]));
}

const outcome = (kind, title, text, ...more) => h('section', { class: `card pad outcome ${kind}` }, h('div', { class: 'empty-mark' }, icon(kind === 'yes' ? 'check' : 'warn')),
  h('div', {}, h('h2', {}, title), h('p', {}, text), more));

const over = {
  failed: (job) => outcome('bad', 'The run failed', sentence(job.error.message)),
  stopped: (job) => outcome('warn', 'The run was stopped', job.error.message === 'it was stopped' ? 'Nothing of it is kept but its curves.' : sentence(job.error.message)),
};

export async function runPage(main, id) {
  const leaving = new AbortController();
  const top = h('div', { class: 'stack' }), below = h('div', { class: 'stack' });
  const job = await call('GET', `/v1/jobs/${encodeURIComponent(id)}`);
  const card = progressCard({ onstop: (e) => busy(e.currentTarget, stop), stopLabel: 'Stop training' });
  const both = curves(job.args.epochs);
  async function stop() { /* one that waits is gone at once */
    if (await stopJob(job.id) === null) window.location.hash = '#/train';
  }
  fill(main, h('a', { class: 'crumb', href: '#/train' }, icon('back'), 'Train'),
    h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Training run'), h('p', {}, sourceOf(job)))), h('div', { class: 'stack' }, top, below));

  function show(now) {
    const history = (now.result || now.progress).history;
    if (history && history.loss.length) {
      if (!both.element.isConnected) fill(below, both.element);
      both.update(history, now.result && now.result.before ? 1 - now.result.before.fnmr_at_far_1e2.value : undefined);
    }
    if (!ended(now)) {
      if (!card.element.isConnected) fill(top, card.element);
      say(card, now);
      return;
    }
    fill(top, now.state === 'done' ? doneCard(now) : over[now.state](now));
    below.append(about(now), h('div', { class: 'actions' }, h('a', { class: 'button', href: '#/train' }, 'Train again')));
    announce(now.state === 'done' ? words(now.result)[0] : `The run ${now.state}`);
  }

  follow(job, show, leaving.signal).catch(failed);
  return () => leaving.abort();
}
