/* The ruler's small print: at which similarity one stranger in so many is taken for the same person; and what lies behind
 * the ruler: how strangers and pairs of one person are spread, as far as the calibration in force has measured it. */
import { call, may, session } from './api.js';
import { ridge } from './plot.js';

const wanted = [1e-2, 1e-4, 1e-6];
let known = null, shapes = new Map();

export async function strangerScale() {
  if (!may('read')) return [];
  if (!known) {
    known = call('GET', '/v1/models').then(({ models }) => {
      const points = (models.find((m) => m.use === 'embed') || {}).calibration || [];
      return wanted.map((fmr) => points.find((p) => Math.abs(Math.log10(p.fmr / fmr)) < 0.05)).filter(Boolean)
        .map((p) => ({ threshold: p.threshold, label: `1 in ${new Intl.NumberFormat('en').format(Math.round(1 / p.fmr))}` }));
    }).catch(() => []); /* a ruler without small print */
  }
  return known;
}

/* A calibration was applied or taken back. */
export const forgetScale = () => { shapes = new Map(); };

/* The density between two neighbouring thresholds is the share that lies between them: `share(p)` is the share below p's.
 * What lies outside of the points is not known, and not drawn. */
function density(points, share) {
  const at = points.filter((p) => share(p) !== null).sort((a, b) => a.threshold - b.threshold), out = [];
  for (let i = 1; i < at.length; i++) {
    const wide = at[i].threshold - at[i - 1].threshold;
    if (wide > 0) out.push({ from: at[i - 1].threshold, to: at[i].threshold, y: Math.max(0, share(at[i]) - share(at[i - 1])) / wide });
  }
  return out;
}

/* Piecewise, through the middles; the ends are where the knowledge ends. */
const line = (pieces) => (pieces.length ? [{ x: pieces[0].from, y: pieces[0].y }, ...pieces.map((p) => ({ x: (p.from + p.to) / 2, y: p.y })), { x: pieces[pieces.length - 1].to, y: pieces[pieces.length - 1].y }] : []);

/* A histogram as a line through the middles of its bins, with nothing where it has nothing. */
function hill(counts, lo, hi) {
  const wide = (hi - lo) / counts.length, most = Math.max(...counts, 1);
  const at = counts.map((n, i) => ({ x: lo + (i + 0.5) * wide, y: n / most })), first = counts.findIndex((n) => n > 0), last = counts.length - 1 - [...counts].reverse().findIndex((n) => n > 0);
  return first < 0 ? [] : [{ x: at[first].x - wide, y: 0 }, ...at.slice(first, last + 1), { x: at[last].x + wide, y: 0 }];
}

/* { strangers, same, words }; null where nothing is known. */
export function densities(curve) {
  if (curve.scores) {
    const { lo, hi, mated, nonmated } = curve.scores;
    return { strangers: hill(nonmated, lo, hi), same: hill(mated, lo, hi), words: 'Behind the ruler: strangers, and pictures of one person, among those that the thresholds were fitted to.' };
  }
  const strangers = line(density(curve.points, (p) => 1 - p.fmr.value)), same = line(density(curve.points, (p) => (p.fnmr ? p.fnmr.value : null)));
  const most = Math.max(...strangers.map((p) => p.y), ...same.map((p) => p.y), 0), scaled = (l) => l.map((p) => ({ x: p.x, y: p.y / most }));
  const seen = Math.round(100 * curve.points.reduce((a, p) => Math.max(a, p.fmr.value), 0)), has = same.some((p) => p.y > 0);
  return most > 0 ? { strangers: scaled(strangers), same: has ? scaled(same) : [],
    words: `Behind the ruler: the ${seen} % of strangers that come closest. The model’s calibration says nothing of the others${has ? '' : ', nor how far pictures of one person lie apart'}.` } : null;
}

/* { draw(place), words }: place maps a similarity to 0..1 of the ruler. null: nothing is known. */
export async function ruledShapes() {
  if (!may('read')) return null;
  const collection = session.collection;
  if (!shapes.has(collection)) shapes.set(collection, call('GET', `/v1/collections/${encodeURIComponent(collection)}/calibration`).then(densities).catch(() => null));
  const d = await shapes.get(collection);
  if (!d) return null;
  return {
    draw: (place) => ridge([{ kind: 'b', points: d.strangers }, { kind: 'a', points: d.same }].map((s) => ({ ...s, points: s.points.map((p) => ({ x: place(p.x), y: p.y })) }))),
    words: d.words,
  };
}
