/* One evaluation: how far it is, then its figures with intervals, curves, and the errors to look at. */
import { call, within, form, session } from './api.js';
import { h, fill, icon, button, badge, confirm, spinner, empty, portrait, failed, plural, number, moment, sentence, announce } from './ui.js';
import { follow, ended, stopJob, fileAddress, progressCard } from './jobs.js';
import { cropAddress } from './sets.js';
import { plot, histograms, percent, oneIn, plain } from './plot.js';
import { calibrationResult, similarity } from './calibration.js';
import { withFace } from './people.js';

const interval = (r, name) => ({ value: r[name], lo: r[`${name}_interval95`] ? r[`${name}_interval95`][0] : r[`${name}_lo`], hi: r[`${name}_interval95`] ? r[`${name}_interval95`][1] : r[`${name}_hi`] });
const spread = (e) => (Number.isFinite(e.lo) ? `between ${percent(e.lo, 2)} and ${percent(e.hi, 2)}` : '');
const tile = (value, label, under, kind = '') => h('div', { class: `card figure ${kind}` }, h('b', {}, value), h('span', {}, label), under && h('small', {}, under));
const card = (...content) => h('section', { class: 'card pad' }, content);
const region = (label, ...content) => h('div', { class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': label }, h('table', {}, content));
const heads = (...titles) => h('thead', {}, h('tr', {}, titles.map((t) => h('th', { scope: 'col' }, t))));

export const openJob = (job) => { window.location.hash = `#/evaluate/${job.id}`; };

export function startJob(kind, set, more = {}) {
  if (kind === 'calibrate') return within('POST', '/v1/calibrate', { json: { set } });
  const mode = kind === 'verify' ? { mode: 'verify' } : { mode: 'identify', against: kind === 'collection' ? 'collection' : 'set' };
  return within('POST', '/v1/eval', { form: form({ set, ...mode, ...more }) });
}

/* ---- parts of both kinds ---- */

/* Scores of other matchers lie anywhere. */
const axisNumber = (c) => (c.score_hi - c.score_lo < 4 ? (v) => v.toFixed(2).replace('-', '−') : plain);

function scores(curves, threshold, names, text, lower = false) {
  return histograms({ title: 'Scores', text, lo: curves.score_lo, hi: curves.score_hi, x: { label: lower ? 'distance' : 'similarity', format: axisNumber(curves) },
    series: [{ name: names[0], kind: 'b', counts: curves.nonmated }, { name: names[1], kind: 'a', counts: curves.mated }],
    marks: [{ x: threshold, label: `threshold ${similarity(threshold)}` }], note: `Each as shares of its own kind. What lies ${lower ? 'left' : 'right'} of the threshold counts as the same person.` });
}

const points = (list, x, y) => list.map((p) => ({ x: p[x], ...interval(p, y) })).map((p) => ({ x: p.x, y: p.value, lo: p.lo, hi: p.hi }));
const least = (list) => Math.max(1e-4, Math.min(1e-2, ...list.map((p) => p.y).filter((v) => v > 0)));

/* A rate of 0 has no place on a logarithmic axis: it lies on the frame, and reads as 0. */
function logLog(title, text, list, x, y, mark) {
  const floor = 10 ** Math.floor(Math.log10(least(list)) - 1e-9);
  return plot({ title, text, x: { label: x, log: true, format: percent }, y: { label: y, log: true, lo: floor, hi: 1, format: percent },
    series: [{ name: 'with its 95 % interval', kind: 'a', points: list.map((p) => ({ ...p, title: `${percent(p.y)} (${percent(p.lo)} to ${percent(p.hi)})`, y: Math.max(p.y, floor), lo: Math.max(p.lo, floor) })) }],
    marks: mark && mark.x > 0 ? [{ x: mark.x, y: Math.max(mark.y, floor), label: 'in force' }] : [] });
}

function noFace(r) {
  const n = r.no_face;
  if (!n || n.count === 0) return null;
  return h('details', { class: 'more card' }, h('summary', {}, `${plural(n.count, 'picture')} in which no face was found`), h('div', {}, h('ul', { class: 'paths' }, n.paths.map((p) => h('li', {}, p))),
    n.count > n.paths.length && h('p', { class: 'hint' }, `and ${number(n.count - n.paths.length)} more`)));
}

function badRows(r) {
  if (!r.bad_rows) return null;
  return h('details', { class: 'more card' }, h('summary', {}, `${plural(r.bad_rows, 'row')} of the file passed over`), h('div', {}, h('ul', { class: 'paths' }, r.bad_row_list.map((b) => h('li', {}, b.line ? `line ${b.line}: ` : '', b.why))),
    r.bad_rows > r.bad_row_list.length && h('p', { class: 'hint' }, `and ${number(r.bad_rows - r.bad_row_list.length)} more`)));
}

const crop = (r, face, path) => (face ? h('img', { src: cropAddress(r.set, face), alt: `Face of ${path}`, loading: 'lazy', onerror: (e) => e.target.replaceWith(h('span', { class: 'no-crop' }, icon('people'))) }) : h('span', { class: 'no-crop' }, icon('people')));

function errors(title, hint, list) {
  if (list.length === 0) return null;
  const id = `errors-${title.length}-${list.length}`;
  return h('section', { class: 'card', 'aria-labelledby': id }, h('div', { class: 'panel-head' }, h('h2', { id }, title), h('span', { class: 'hint' }, hint)), h('ul', { class: 'errors' }, list));
}

const pairCard = (left, right, score, line) => h('li', { class: 'error' }, h('div', { class: 'error-faces' }, left.image, right.image), h('b', {}, similarity(score)), line && h('small', {}, line), h('small', { title: left.name }, left.name), h('small', { title: right.name }, right.name));

/* ---- pairs ---- */

function inWords(r) {
  const d = r.at_threshold, strangers = d.fp + d.tn, one = d.tp + d.fn, failedPairs = r.failed_pairs ? ` ${plural(r.failed_pairs, 'pair')} could not be compared and count as different.` : '';
  return `At the threshold ${similarity(d.threshold)}, ${number(d.fp)} of ${plural(strangers, 'pair')} of strangers passed for one person, and ${number(d.fn)} of ${plural(one, 'pair')} of one person ${d.fn === 1 ? 'was' : 'were'} missed.${failedPairs}`;
}

const sources = (d) => (d.chosen_on_these_pairs ? 'The threshold was chosen on these very pairs, which flatters.' : d.source === 'given' ? 'It was given.' : `It comes from ${d.source}.`);

function pairTable(r) {
  return h('div', { class: 'card' }, h('div', { class: 'panel-head' }, h('h2', {}, 'Missed, at rates of false matches')), region('Missed, at rates of false matches', heads('False matches', 'Threshold', 'Missed', '95 % interval', ''),
    h('tbody', {}, r.fnmr_at_fmr.map((a) => {
      const e = interval(a, 'fnmr');
      return h('tr', {}, h('th', { scope: 'row' }, oneIn(a.fmr)), h('td', {}, similarity(a.threshold)), h('td', {}, h('b', {}, percent(e.value))), h('td', { class: 'line' }, `${percent(e.lo)} to ${percent(e.hi)}`), h('td', {}, !a.supported && badge('too few pairs', 'warn')));
    }))));
}

function verifyResult(r) {
  const d = r.at_threshold, accuracy = interval(d, 'accuracy'), fmr = interval(d, 'fmr'), fnmr = interval(d, 'fnmr'), eer = interval(r, 'eer'), auc = interval(r, 'auc');
  const det = points(r.curves.det, 'fmr', 'fnmr'), roc = det.map((p) => ({ x: p.x, y: 1 - p.y, lo: 1 - p.hi, hi: 1 - p.lo }));
  const folds = r.folds > 1, name = (path) => path || '–';
  const worst = (e) => pairCard({ image: crop(r, e.face_a, e.a), name: name(e.a) }, { image: crop(r, e.face_b, e.b), name: name(e.b) }, e.score);
  const faces = (list) => (r.set ? list.map(worst) : []);
  return [h('div', { class: 'figures results' }, tile(percent(folds ? r.accuracy : accuracy.value), folds ? `decided rightly, over ${r.folds} folds` : 'decided rightly', folds ? `± ${percent(r.accuracy_std)}` : spread(accuracy)),
    tile(percent(fmr.value), 'of strangers pass', spread(fmr)), tile(percent(fnmr.value), 'of one person missed', spread(fnmr)), tile(percent(eer.value), 'equal error rate', spread(eer))),
  card(h('h2', {}, 'In words'), h('p', {}, inWords(r)), h('p', { class: 'hint' }, `${sources(d)} Intervals: ${r.intervals === 'bootstrap over people' ? `from ${plural(r.people, 'person', 'people')}, drawn again and again` : 'pairs taken as independent, for nobody says whose they are'}.`)),
  card(scores(r.curves, d.threshold, ['two people', 'one person'], inWords(r), r.lower_is_alike)),
  h('div', { class: 'plots' }, card(logLog('False matches against misses (DET)', `Equal error rate ${percent(eer.value)}.`, det, 'false match rate', 'missed', { x: fmr.value, y: fnmr.value })),
    card(plot({ title: 'Recognised against false matches (ROC)', text: `Area under the curve ${auc.value.toFixed(4)}.`, x: { label: 'false match rate', log: true, format: percent }, y: { label: 'recognised', format: percent, hi: 1 },
      series: [{ name: 'with its 95 % interval', kind: 'a', points: roc }], note: `Area under the curve ${auc.value.toFixed(4)}, ${auc.lo.toFixed(4)} to ${auc.hi.toFixed(4)}.` }))),
  pairTable(r),
  errors('Strangers taken for one person', 'Are these labelled right?', faces(r.false_matches)), errors('One person, not recognised', 'Are these labelled right?', faces(r.false_nonmatches)), noFace(r), badRows(r)];
}

/* ---- searches ---- */

function person(r, who) {
  if (!who) return { image: h('span', { class: 'no-crop' }, icon('people')), name: 'nobody' };
  if (who.face) return { image: crop(r, who.face, who.name), name: who.name };
  const box = h('span', { class: 'error-portrait' }, portrait(who.name, null, 'tile'));
  return { image: r.collection === session.collection ? withFace(box, { id: who.person, images: 1 }, 'tile') : box, name: who.name };
}

function agrees(r) {
  if (r.fpir_agrees === null) return '';
  const expects = `The calibration expects ${percent(r.fpir_expected)} of strangers to be named.`;
  return r.fpir_agrees ? `${expects} What was measured agrees, within the intervals.` : r.fpir < r.fpir_expected ? `${expects} Fewer were: it is on the safe side.` : `${expects} More were: fit one to such people.`;
}

function searchWords(r) {
  return `Among ${plural(r.people, 'person', 'people')} ${r.against === 'collection' ? 'of the gallery' : 'of these'}, ${plural(r.mated, 'picture')} of theirs and ${number(r.nonmated)} of strangers were searched for. At the threshold ${similarity(r.threshold)}, ${percent(r.fpir)} of strangers were taken for somebody, and ${percent(r.fnir)} of pictures of known people were not recognised.`;
}

function identifyResult(r) {
  const fpir = interval(r, 'fpir'), fnir = interval(r, 'fnir'), rank1 = interval(r, 'rank1'), curve = points(r.curves.fnir, 'fpir', 'fnir');
  const found = (e, to, line) => pairCard({ image: crop(r, e.face, e.path), name: e.path }, person(r, to), e.score, line);
  return [h('div', { class: 'figures results' }, tile(percent(rank1.value), 'named first, rightly', spread(rank1)), tile(percent(fpir.value), 'of strangers named', spread(fpir)), tile(percent(fnir.value), 'of known people missed', spread(fnir)),
    tile(number(r.people), 'people searched', `threshold ${similarity(r.threshold)}`)),
  card(h('h2', {}, 'In words'), h('p', {}, searchWords(r)), h('p', { class: 'hint' }, agrees(r), !r.fpir_promised && ` The calibration does not support ${percent(r.fpir_asked)} among so many: its strictest threshold was taken.`)),
  card(scores(r.curves, r.threshold, ['best candidate of a stranger', 'the right person'], searchWords(r))),
  h('div', { class: 'plots' }, card(logLog('Strangers named against people missed', searchWords(r), curve, 'strangers named (FPIR)', 'missed (FNIR)', { x: fpir.value, y: fnir.value })),
    card(plot({ title: 'The right person among the first (CMC)', text: `At rank 1 ${percent(rank1.value)}.`, x: { label: 'candidates looked at', lo: 1, hi: r.cmc.length }, y: { label: 'found', hi: 1, format: percent, lo: Math.min(0.9, Math.floor(10 * Math.min(...r.cmc)) / 10) },
      series: [{ name: 'found', kind: 'a', dots: true, points: r.cmc.map((v, i) => ({ x: i + 1, y: v })) }] }))),
  h('div', { class: 'card' }, h('div', { class: 'panel-head' }, h('h2', {}, 'Missed, at rates of strangers named')), region('Missed, at rates of strangers named', heads('Strangers named', 'Threshold', 'Missed', '95 % interval', ''), h('tbody', {}, r.fnir_at_fpir.map((a) => {
    const e = interval(a, 'fnir');
    return h('tr', {}, h('th', { scope: 'row' }, oneIn(a.fpir)), h('td', {}, a.threshold === null ? '–' : similarity(a.threshold)), h('td', {}, h('b', {}, percent(e.value))), h('td', { class: 'line' }, `${percent(e.lo)} to ${percent(e.hi)}`), h('td', {}, !a.supported && badge('too few strangers', 'warn')));
  })))),
  errors('Strangers who were named', 'Are they perhaps the person?', r.false_positives.map((e) => found(e, e.found))),
  errors('People who were missed', 'The picture, and who was most alike', r.misses.map((e) => found(e, e.found, e.rank ? `${e.right.name} came ${e.rank === 1 ? 'first' : `as number ${e.rank}`}` : `${e.right.name} was not among the first`))), noFace(r)];
}

/* ---- the page ---- */

const titles = { verify: 'Two pictures: the same person?', identify: 'Who is it?', scores: 'Scores' };

function size(r) {
  if (r.mode === 'identify') return `${plural(r.people, 'person', 'people')} searched with ${plural(r.mated + r.nonmated, 'picture')}`;
  return [r.people && plural(r.people, 'person', 'people'), r.images && plural(r.images, 'picture'), plural(r.pairs, 'pair')].filter(Boolean).join(', ');
}

function next(job) {
  if (!job.args.set) return null;
  const again = async (kind) => {
    try {
      openJob(await startJob(kind, job.args.set));
    } catch (e) {
      failed(e.code === 'NOT_FOUND' ? new Error('The faces of these people are no longer here: choose the folder again.') : e);
    }
  };
  const has = (kind, mode) => job.kind === kind && (!mode || job.args.mode === mode);
  return h('section', { class: 'card pad next', 'aria-labelledby': 'next' }, h('h2', { id: 'next' }, 'With the same people'), h('div', { class: 'actions' },
    !has('eval', 'verify') && button('Measure pairs', () => again('verify'), { symbol: 'compare' }), !has('eval', 'identify') && button('Measure searches', () => again('identify'), { symbol: 'search' }),
    !has('calibrate') && button('Fit the thresholds', () => again('calibrate'), { symbol: 'evaluate' })));
}

function show(place, job) {
  const r = job.result, files = job.files.filter((f) => f.name !== 'job.json');
  const labels = { 'report.html': 'Report', 'figures.json': 'Figures', 'calibration.json': 'Calibration' };
  const remove = async () => {
    if (!await confirm('Remove this result?', 'Its figures and its report are deleted.', 'Remove')) return;
    await stopJob(job.id).catch(failed);
    window.location.hash = '#/evaluate';
  };
  const tools = h('div', { class: 'actions' }, files.map((f) => h('a', { class: 'button', href: fileAddress(job, f.name), download: f.name }, icon('down'), h('span', {}, labels[f.name] || f.name))), button('Remove…', remove, { kind: 'danger-quiet', symbol: 'trash' }));
  const title = job.kind === 'calibrate' ? 'Thresholds fitted to these people' : titles[r.mode];
  const body = h('div', { class: 'stack' });
  fill(place, h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, title), h('p', {}, [job.args.name || 'people', job.kind === 'eval' && size(r), moment(job.ended_ms)].filter(Boolean).join(' · '))), tools), h('div', { class: 'stack' }, body, next(job)));
  if (job.kind === 'calibrate') return calibrationResult(body, job);
  fill(body, r.mode === 'identify' ? identifyResult({ ...r, collection: job.args.collection }) : verifyResult(r));
  announce(r.mode === 'identify' ? searchWords(r) : inWords(r));
  return undefined;
}

function over(place, job) {
  fill(place, h('h1', { class: 'unseen' }, 'Evaluate'), empty(job.state === 'failed' ? 'warn' : 'evaluate', job.state === 'failed' ? 'It could not be measured' : 'It was stopped', sentence((job.error || {}).message || ''),
    h('a', { class: 'button', href: '#/evaluate' }, 'Back to Evaluate')));
}

const phases = { waiting: 'Waiting for its turn' };

export async function evaluationPage(main, id) {
  const leaving = new AbortController(), place = h('div', {});
  fill(main, h('a', { class: 'crumb', href: '#/evaluate' }, icon('back'), 'Evaluate'), place);
  fill(place, spinner());
  let job;
  try {
    job = await call('GET', `/v1/jobs/${encodeURIComponent(id)}`);
  } catch (e) {
    fill(place, h('h1', { class: 'unseen' }, 'Evaluate'), empty('evaluate', 'This result is gone', sentence(e.message), h('a', { class: 'button', href: '#/evaluate' }, 'Back to Evaluate')));
    return undefined;
  }
  const finish = (now) => (now.state === 'done' ? show(place, now) : over(place, now));
  if (ended(job)) await finish(job);
  else {
    const progress = progressCard({ onstop: () => stopJob(job.id).catch(failed) });
    fill(place, h('h1', { class: 'unseen' }, 'Evaluate'), progress.element);
    follow(job, (now) => progress.show(sentence(phases[now.progress.phase] || now.progress.phase).replace(/\.$/, ''), now.progress.done, now.progress.total), leaving.signal).then(finish).catch(failed);
  }
  return () => leaving.abort();
}
