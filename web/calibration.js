/* Calibrations: which is in force, what one that was fitted would change, applying it and taking it back. */
import { call, session, may } from './api.js';
import { h, fill, button, badge, facts, confirm, toast, failed, busy, number, plural, day, announce } from './ui.js';
import { plot, histograms, percent, oneIn } from './plot.js';
import { forgetScale } from './scale.js';

const address = (collection) => `/v1/collections/${encodeURIComponent(collection)}/calibration`;
export const similarity = (v) => v.toFixed(3).replace('-', '−');
const rate = (e) => `${e.bound === 'at most' ? 'at most ' : e.bound === 'at least' ? 'at least ' : ''}${oneIn(e.value)}`;
const between = (e, show) => (e.lo < e.hi ? `${show(e.lo)} to ${show(e.hi)}` : '');

/* ---- what is in force ---- */

const stands = (c) => `${plural(c.people, 'person', 'people')}${c.pictures ? `, ${plural(c.pictures, 'picture')}` : ''}, ${number(c.nonmated)} pairs of strangers`;

async function back(collection, again) {
  if (!await confirm('Back to the model’s own thresholds?', `“${collection}” then goes by the calibration that the model came with. The one that was fitted is forgotten; it can be fitted anew.`, 'Go back', { kind: 'primary' })) return;
  try {
    await call('DELETE', address(collection));
    forgetScale();
    toast(`“${collection}” goes by the model’s own thresholds again.`);
    again();
  } catch (e) {
    failed(e);
  }
}

export async function inForceCard(place, collection = session.collection) {
  const c = await call('GET', address(collection));
  const again = () => inForceCard(place, collection).catch(failed);
  fill(place, h('section', { class: 'card pad', 'aria-labelledby': 'in-force' }, h('div', { class: 'model-head' }, h('h2', { id: 'in-force' }, `Thresholds of “${collection}”`),
    c.own ? badge('fitted to your people', 'yes') : badge('the model’s own')),
  facts(['Two pictures', c.threshold ? `the same person from ${similarity(c.threshold.value)} on: ${oneIn(c.default_fmr)} pairs of strangers comes through` : `these people are too few for a rate of ${oneIn(c.default_fmr)}: the model’s own threshold holds`],
    c.search && ['A search', `somebody known from ${similarity(c.search.threshold)} on, among ${plural(c.search.people, 'person', 'people')}: ${rate(c.search.fpir)} strangers would be named`],
    ['Stands on', stands(c)], c.date && ['Fitted', day(Date.parse(c.date))], c.protocol && ['How', h('small', {}, c.protocol)]),
  c.own && may('admin') && h('div', { class: 'actions card-foot' }, button('Back to the model’s own…', () => back(collection, again), { kind: 'small', symbol: 'undo' }))));
}

/* ---- a fitted one ---- */

function curves(r, before) {
  const points = (c) => c.points.map((p) => ({ x: p.threshold, y: p.fmr.value, lo: p.fmr.lo || undefined, hi: p.fmr.hi })).sort((a, b) => a.x - b.x);
  return plot({ title: 'How many strangers come that close', text: 'The rate of false matches falls as the threshold rises, for the calibration in force and for the one fitted to these people.',
    x: { label: 'threshold', format: (v) => v.toFixed(2) }, y: { log: true, label: 'false match rate', format: percent },
    series: [{ name: 'fitted to these people', kind: 'a', points: points(r.curve) }, before && { name: 'in force', kind: 'd', dash: true, points: points(before) }].filter(Boolean) });
}

function spreads(r, applied) {
  const { lo, hi, mated, nonmated } = r.scores, at = mated.map((n, i) => n + nonmated[i] > 0), first = at.indexOf(true), last = at.lastIndexOf(true), wide = (hi - lo) / mated.length;
  return histograms({ title: 'Scores of these people', text: 'Strangers lie left, pictures of one person right.', lo: lo + first * wide, hi: lo + (last + 1) * wide, x: { label: 'similarity', format: (v) => v.toFixed(2) },
    series: [{ name: 'two people', kind: 'b', counts: nonmated.slice(first, last + 1) }, { name: 'one person', kind: 'a', counts: mated.slice(first, last + 1) }], marks: r.in_force ? [{ x: r.in_force.threshold, label: `${applied ? 'before' : 'in force'} ${similarity(r.in_force.threshold)}` }] : [] });
}

const cell = (e) => (e ? h('td', {}, h('b', {}, similarity(e.value)), h('small', { class: 'under' }, between(e, similarity))) : h('td', { class: 'hint' }, 'too few people'));

function change(row) {
  if (!row.before || !row.now) return h('td', {}, '–');
  const d = row.now.value - row.before.value;
  return h('td', {}, Math.abs(d) < 0.0005 ? 'the same' : `${d > 0 ? '+' : '−'}${Math.abs(d).toFixed(3)}, ${d > 0 ? 'stricter' : 'looser'}`);
}

const table = (label, first, rows) => h('div', { class: 'card' }, h('div', { class: 'panel-head' }, h('h2', {}, label)), h('div', { class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': label }, h('table', {},
  h('thead', {}, h('tr', {}, [first, 'Before', 'Fitted', 'Change'].map((t) => h('th', { scope: 'col' }, t)))),
  h('tbody', {}, rows.map((row) => h('tr', {}, h('th', { scope: 'row' }, row.title), cell(row.before), cell(row.now), change(row)))))));

function meaning(r, before, applied) {
  const c = r.curve, best = c.points[0];
  const here = r.in_force && `The threshold ${applied ? 'before' : 'in force'}, ${similarity(r.in_force.threshold)}, is meant to let ${oneIn(r.in_force.fmr)} pairs of strangers through. Among these people it lets ${rate(r.in_force.fmr_here)} through${
    r.in_force.fmr_here.bound === 'estimate' ? ` (95 %: ${between(r.in_force.fmr_here, percent)})` : ', which is all that so many can say'}.`;
  return [h('p', {}, here), h('p', {}, `These ${plural(c.people, 'person', 'people')} support rates down to ${oneIn(best.fmr.value)}, at ${similarity(best.threshold)}. Stricter rates take more people${before && !before.own && before.people > c.people ? `: the model’s own calibration stands on ${number(before.people)}` : ''}.`)];
}

/* Whether one should: the more people, the more it is worth. */
function advice(r) {
  if (r.curve.people < 100) return ['warn', 'Few people', 'A calibration by so few says little about strangers. It is worth it from some two hundred people on; until then keep the model’s own.'];
  const wide = r.in_force && (r.in_force.fmr_here.lo > r.in_force.fmr || r.in_force.fmr_here.hi < r.in_force.fmr);
  return wide ? ['yes', 'Worth applying', 'These people differ from those that the model was calibrated on by more than chance.'] : ['', 'No need', 'These people agree with the calibration in force, within the intervals.'];
}

export async function calibrationResult(place, job) {
  const r = job.result, collection = r.collection;
  const before = await call('GET', address(collection)).catch(() => null);
  const [kind, title, text] = advice(r);
  const state = h('div', { class: 'actions' });
  const again = () => calibrationResult(place, job).catch(failed);
  const applied = before && before.own && before.date === r.curve.date && before.protocol === r.curve.protocol && before.people === r.curve.people && before.points[0].threshold === r.curve.points[0].threshold;
  const apply = button(`Apply to “${collection}”`, () => busy(apply, async () => {
    await call('POST', address(collection), { json: { job: job.id } });
    forgetScale();
    toast(`“${collection}” goes by this calibration now.`);
    announce('Applied');
    await again();
  }), { kind: 'primary', symbol: 'check' });
  fill(state, applied ? badge('in force now', 'yes') : apply, before && before.own && button('Back to the model’s own…', () => back(collection, again), { symbol: 'undo' }));
  fill(place, h('section', { class: 'card pad verdict-card', 'aria-label': 'What it means' }, h('div', {}, h('div', { class: 'model-head' }, h('h2', {}, title), badge(plural(r.curve.people, 'person', 'people'), kind)), h('p', {}, text), meaning(r, before, applied)), state),
    h('div', { class: 'plots' }, h('section', { class: 'card pad' }, curves(r, applied ? null : before)), r.scores && h('section', { class: 'card pad' }, spreads(r, applied))),
    table('Two pictures: the same person from', 'False matches', r.thresholds.filter((t) => t.before || t.now).map((t) => ({ ...t, title: oneIn(t.fmr) }))),
    r.searches.some((s) => s.now) && table('A search: somebody known from', 'People searched', r.searches.map((s) => ({ ...s, title: h('span', {}, number(s.people), ' ', s.collection && badge('this gallery', 'yes')) }))));
}
