/* Plots as SVG, drawn at the size they are seen at: lines with bands, steps, areas, histograms; linear and logarithmic
 * axes. Colours are classes (plot.css), so light and dark need nothing here. Who cannot see a plot hears its text, reads
 * its points with the arrow keys, and has them as a table.
 *
 *   plot({ title, text, x: axis, y: axis, series: [...], marks: [...] }) -> figure with .update({ ...what changed })
 *   axis   { label, log, lo, hi, zero, tight, hidden, format(v) }; lo and hi come from the points where they are not given,
 *          rounded outwards unless tight
 *   series { name, kind: 'a'..'e', points: [{ x, y, lo, hi, title }], step, area, dash, dots }; lo..hi is drawn as a
 *          band, title replaces the point's value where it is read
 *   mark   { x } or { y }: a line; { x, y }: a ring; with label, and kind 'strong' or a series' */
import { h, fill } from './ui.js';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 280, TOP = 26, RIGHT = 18, BOTTOM = 46, EDGE = 4 /* a dot on the frame is seen whole */, CHARACTER = 6.4;

export function svg(tag, props, ...children) {
  const e = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props || {}))
    if (value !== undefined && value !== null && value !== false) e.setAttribute(name, typeof value === 'number' ? Number(value.toFixed(2)) : value);
  e.append(...children.flat().filter(Boolean));
  return e;
}

/* ---- numbers ---- */

const short = (v, digits) => new Intl.NumberFormat('en', { maximumSignificantDigits: digits }).format(v).replace('-', '−');
/* A rate: 12 %, 0.35 %, 0.0001 %; near the whole as near as its distance from it says: 99.96 %, never 100 % for less. */
export function percent(v, digits = 3) {
  if (!(v >= 0.9 && v < 1)) return `${short(100 * v, digits)} %`;
  return `${new Intl.NumberFormat('en', { maximumFractionDigits: Math.min(6, Math.max(0, Math.ceil(-Math.log10(100 * (1 - v)))) + 1) }).format(100 * v)} %`;
}
/* The same in strangers: 1 in 10,000. */
export const oneIn = (v) => (v > 0 ? `1 in ${short(1 / v, 2)}` : 'none');
export const plain = (v) => (v === 0 ? '0' : Math.abs(v) >= 1e-3 ? short(v, 4) : v.toExponential(1));

/* ---- axes ---- */

function niceStep(span, n) {
  const raw = span / Math.max(1, n), ten = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((m) => m * ten).find((s) => s >= raw) || 10 * ten;
}

function linearTicks(lo, hi, n) {
  const step = niceStep(hi - lo, n), list = [];
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + step * 1e-9; k++) list.push(Number((k * step).toPrecision(12)));
  return list;
}

function logTicks(lo, hi, n) {
  const from = Math.floor(Math.log10(lo) + 1e-9), to = Math.ceil(Math.log10(hi) - 1e-9), each = Math.max(1, Math.ceil((to - from) / Math.max(1, n)));
  const major = [], minor = [];
  for (let e = from; e <= to; e++) {
    ((to - e) % each === 0 ? major : minor).push(10 ** e);
    if (to - from <= 4) for (let m = 2; m < 10; m++) minor.push(m * 10 ** e);
  }
  const seen = (v) => v >= lo * (1 - 1e-9) && v <= hi * (1 + 1e-9);
  const shown = major.filter(seen);
  return shown.length > 1 ? { major: shown, minor: minor.filter(seen) } : { major: [lo, ...shown, hi].filter((v, i, all) => all.indexOf(v) === i), minor: minor.filter(seen) };
}

function domain(axis, values) {
  const good = values.filter((v) => Number.isFinite(v) && (!axis.log || v > 0));
  let lo = axis.lo ?? Math.min(...good), hi = axis.hi ?? Math.max(...good);
  if (!Number.isFinite(lo) || !Number.isFinite(hi)) [lo, hi] = axis.log ? [0.001, 1] : [0, 1];
  if (axis.log) {
    if (axis.lo === undefined) lo = 10 ** Math.floor(Math.log10(lo) + 1e-9);
    if (axis.hi === undefined) hi = 10 ** Math.ceil(Math.log10(hi) - 1e-9);
    if (hi <= lo) hi = lo * 10;
  } else {
    if (axis.zero) [lo, hi] = [Math.min(0, lo), Math.max(0, hi)];
    if (hi <= lo) [lo, hi] = [lo - (Math.abs(lo) / 2 || 0.5), hi + (Math.abs(hi) / 2 || 0.5)];
    const step = niceStep(hi - lo, 5);
    if (axis.lo === undefined && !axis.tight) lo = Math.floor(lo / step + 1e-9) * step;
    if (axis.hi === undefined && !axis.tight) hi = Math.ceil(hi / step - 1e-9) * step;
  }
  return [lo, hi];
}

function scale(axis, values, n) {
  const [lo, hi] = domain(axis, values), log = Math.log10;
  const ticks = axis.log ? logTicks(lo, hi, n) : { major: linearTicks(lo, hi, n), minor: [] };
  const at = axis.log ? (v) => (log(Math.max(v, lo / 1e3)) - log(lo)) / (log(hi) - log(lo)) : (v) => (v - lo) / (hi - lo);
  return { at, lo, hi, ...ticks, format: axis.format || plain };
}

/* ---- paths ---- */

const word = (v) => Number(v.toFixed(2));

/* Corners of a line; a step holds its height up to the next point. */
function corners(points, step) {
  const out = [];
  points.forEach(([x, y], i) => {
    if (step && i) out.push([x, points[i - 1][1]]);
    out.push([x, y]);
  });
  return out;
}

const line = (points) => points.map(([x, y], i) => `${i ? 'L' : 'M'}${word(x)} ${word(y)}`).join('');

/* Runs of points that can be drawn: a gap in the figures is a gap in the line. */
function runs(points, good) {
  const out = [];
  let run = null;
  for (const p of points) {
    if (!good(p)) run = null;
    else if (run) run.push(p);
    else out.push(run = [p]);
  }
  return out;
}

function drawSeries(s, px, py, floor) {
  const kind = `s-${s.kind || 'a'}`, known = (...names) => (p) => names.every((n) => Number.isFinite(p[n]));
  const place = (name) => (p) => [px(p.x), py(p[name])];
  const parts = [];
  for (const run of runs(s.points, known('x', 'lo', 'hi')))
    if (run.length > 1) parts.push(svg('path', { class: `plot-band ${kind}`, d: `${line(corners(run.map(place('hi')), s.step))}${line(corners(run.map(place('lo')), s.step).reverse()).replace('M', 'L')}Z` }));
  for (const run of runs(s.points, known('x', 'y'))) {
    const way = corners(run.map(place('y')), s.step);
    if (s.area) parts.push(svg('path', { class: `plot-area ${kind}`, d: `M${word(way[0][0])} ${floor}${line(way).replace('M', 'L')}L${word(way[way.length - 1][0])} ${floor}Z` }));
    if (run.length > 1) parts.push(svg('path', { class: `plot-line ${kind} ${s.dash ? 'dash' : ''}`, d: line(way) }));
    if (s.dots || run.length === 1) parts.push(...run.map(place('y')).map(([x, y]) => svg('circle', { class: `plot-dot ${kind}`, cx: x, cy: y, r: 3 })));
  }
  return parts;
}

function drawMark(m, px, py, width, height, level) {
  const kind = m.kind === 'strong' || !m.kind ? 'strong' : `s-${m.kind}`, has = (v) => Number.isFinite(v);
  const x = has(m.x) ? px(m.x) : null, y = has(m.y) ? py(m.y) : null, parts = [];
  if ((x !== null && (x < -1 || x > width + 1)) || (y !== null && (y < -1 || y > height + 1))) return parts;
  if (x !== null && y !== null) parts.push(svg('circle', { class: `plot-ring ${kind}`, cx: x, cy: y, r: 5 }));
  else if (x !== null) parts.push(svg('line', { class: `plot-mark ${kind}`, x1: x, x2: x, y1: 0, y2: height }));
  else parts.push(svg('line', { class: `plot-mark ${kind}`, x1: 0, x2: width, y1: y, y2: y }));
  if (!m.label) return parts;
  const wide = m.label.length * CHARACTER + 12, right = (x ?? 0) + wide < width;
  const ty = x !== null && y !== null ? (y < 24 ? y + 18 : y - 10) : x !== null ? 13 + 17 * level : y < 16 ? y + 15 : y - 6;
  parts.push(svg('text', { class: `plot-mark-text ${kind}`, x: x === null ? width - 4 : right ? x + 7 : x - 7, y: ty, 'text-anchor': x !== null && right ? 'start' : 'end' }, m.label));
  return parts;
}

/* ---- a figure ---- */

const swatch = (s) => h('i', { class: `swatch s-${s.kind || 'a'} ${s.dash ? 'dash' : ''}` });

function legend(series) {
  const named = series.filter((s) => s.name);
  return named.length > 1 && h('ul', { class: 'plot-legend' }, named.map((s) => h('li', {}, swatch(s), s.name)));
}

/* All different places along x, in order. */
const stops = (series) => [...new Set(series.flatMap((s) => s.points.map((p) => p.x)))].filter(Number.isFinite).sort((a, b) => a - b);

const spread = (p, y) => (!p.title && Number.isFinite(p.lo) && Number.isFinite(p.hi) ? `${y(p.lo)} to ${y(p.hi)}` : '');
const valueOf = (p, y) => p.title || y(p.y);

function table(spec) {
  const fx = spec.x.format || plain, fy = spec.y.format || plain, all = stops(spec.series);
  const thin = all.filter((x, i) => i % Math.ceil(all.length / 100) === 0);
  return h('div', { class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': `${spec.title} as a table` }, h('table', {},
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, spec.x.label || 'x'), spec.series.map((s) => h('th', { scope: 'col' }, s.name || spec.y.label || 'y')))),
    h('tbody', {}, thin.map((x) => h('tr', {}, h('th', { scope: 'row' }, fx(x)), spec.series.map((s) => {
      const p = s.points.find((q) => q.x === x);
      const between = p && spread(p, fy);
      return h('td', {}, p && Number.isFinite(p.y) ? `${valueOf(p, fy)}${between ? ` (${between})` : ''}` : '–');
    }))))));
}

export function plot(given) {
  const spec = { height: HEIGHT, marks: [], text: '', x: {}, y: {}, series: [], ...given };
  const canvas = h('div', { class: 'plot-canvas', tabindex: '0', role: 'group' });
  const tip = h('div', { class: 'plot-tip', role: 'status', hidden: true });
  const key = h('div', { class: 'plot-key' }), alternative = h('div', {});
  const asTable = h('details', { class: 'plot-table', ontoggle: () => fill(alternative, asTable.open && table(spec)) }, h('summary', {}, 'As a table'), alternative);
  const figure = h('figure', { class: 'plot' }, h('figcaption', {}, h('span', {}, spec.title), key), h('div', { class: 'plot-stage' }, canvas, tip), spec.note && h('p', { class: 'hint' }, spec.note), asTable);
  let now = null; /* what was drawn last: scales and the layer of the reading line */
  let index = -1, width = 0;

  function draw() {
    if (width < 60) return;
    const points = spec.series.flatMap((s) => s.points);
    const y = scale(spec.y, points.flatMap((p) => [p.y, p.lo, p.hi]), 5);
    const left = spec.y.hidden ? 10 : Math.max(30, 12 + CHARACTER * Math.max(...y.major.map((v) => y.format(v).length)));
    const w = width - left - RIGHT, hgt = spec.height - TOP - BOTTOM, x = scale({ tight: true, ...spec.x }, points.map((p) => p.x), Math.max(2, Math.floor(w / 84)));
    const px = (v) => w * x.at(v), py = (v) => hgt * (1 - y.at(v));
    const grid = [...x.minor.map((v) => svg('line', { class: 'plot-grid minor', x1: px(v), x2: px(v), y1: 0, y2: hgt })), ...x.major.map((v) => svg('line', { class: 'plot-grid', x1: px(v), x2: px(v), y1: 0, y2: hgt })),
      ...(spec.y.hidden ? [] : [...y.minor.map((v) => svg('line', { class: 'plot-grid minor', y1: py(v), y2: py(v), x1: 0, x2: w })), ...y.major.map((v) => svg('line', { class: 'plot-grid', y1: py(v), y2: py(v), x1: 0, x2: w }))])];
    const texts = [...x.major.map((v) => svg('text', { class: 'plot-tick', x: left + px(v), y: TOP + hgt + 18, 'text-anchor': 'middle' }, x.format(v))),
      ...(spec.y.hidden ? [] : y.major.map((v) => svg('text', { class: 'plot-tick', x: left - 8, y: TOP + py(v) + 4, 'text-anchor': 'end' }, y.format(v)))),
      spec.x.label && svg('text', { class: 'plot-label', x: left + w / 2, y: spec.height - 6, 'text-anchor': 'middle' }, spec.x.label),
      spec.y.label && !spec.y.hidden && svg('text', { class: 'plot-label', x: 0, y: 13 }, spec.y.label)];
    const layer = svg('g', { class: 'plot-read' });
    const inside = svg('svg', { x: left - EDGE, y: TOP - EDGE, width: w + 2 * EDGE, height: hgt + 2 * EDGE, viewBox: `${-EDGE} ${-EDGE} ${w + 2 * EDGE} ${hgt + 2 * EDGE}` }, grid, spec.series.flatMap((s) => drawSeries(s, px, py, hgt)));
    const above = svg('g', { transform: `translate(${left} ${TOP})` }, svg('line', { class: 'plot-axis', x1: 0, x2: w, y1: hgt, y2: hgt }), spec.marks.flatMap((m, i) => drawMark(m, px, py, w, hgt, spec.marks.slice(0, i).filter((o) => Number.isFinite(o.x) && !Number.isFinite(o.y)).length)), layer);
    fill(canvas, svg('svg', { class: 'plot-svg', width, height: spec.height, viewBox: `0 0 ${width} ${spec.height}`, role: 'img', 'aria-label': `${spec.title}. ${spec.text}` }, inside, texts, above));
    now = { px, py, x, y, left, w, hgt, layer, stops: stops(spec.series).filter((v) => px(v) > -1 && px(v) < w + 1) };
    read(Math.min(index, now.stops.length - 1));
  }

  /* Show the values at one place along x: of each series its nearest point. */
  function read(i) {
    index = i;
    tip.hidden = !now || i < 0;
    if (!now) return;
    now.layer.replaceChildren();
    if (i < 0) return;
    const at = now.stops[i], here = now.px(at), rows = [];
    now.layer.append(svg('line', { class: 'plot-cursor', x1: here, x2: here, y1: 0, y2: now.hgt }));
    for (const s of spec.series) {
      const near = s.points.filter((p) => Number.isFinite(p.x) && Number.isFinite(p.y)).reduce((best, p) => (!best || Math.abs(now.px(p.x) - here) < Math.abs(now.px(best.x) - here) ? p : best), null);
      if (!near || Math.abs(now.px(near.x) - here) > 14) continue;
      const yy = Math.min(now.hgt, Math.max(0, now.py(near.y)));
      now.layer.append(svg('circle', { class: `plot-dot read s-${s.kind || 'a'}`, cx: here, cy: yy, r: 4.5 }));
      rows.push(h('div', {}, swatch(s), h('span', {}, s.name || spec.y.label || ''), h('b', {}, valueOf(near, now.y.format)), h('small', {}, spread(near, now.y.format))));
    }
    fill(tip, h('p', {}, `${spec.x.label ? `${spec.x.label} ` : ''}${now.x.format(at)}`), rows);
    const half = tip.offsetWidth / 2, left = Math.min(Math.max(now.left + here, half + 2), width - half - 2);
    tip.style.setProperty('left', `${left}px`);
  }

  function readAt(clientX) {
    if (!now || now.stops.length === 0) return;
    const x = clientX - canvas.getBoundingClientRect().left - now.left;
    let best = 0;
    now.stops.forEach((v, i) => { if (Math.abs(now.px(v) - x) < Math.abs(now.px(now.stops[best]) - x)) best = i; });
    if (best !== index) read(best);
  }
  canvas.addEventListener('pointermove', (e) => readAt(e.clientX));
  canvas.addEventListener('pointerdown', (e) => readAt(e.clientX));
  canvas.addEventListener('pointerleave', () => read(-1));
  canvas.addEventListener('blur', () => read(-1));
  canvas.addEventListener('keydown', (e) => {
    const last = now ? now.stops.length - 1 : -1, far = Math.max(1, Math.round(last / 10));
    const to = { ArrowRight: index + 1, ArrowLeft: index < 0 ? last : index - 1, PageDown: index + far, PageUp: index - far, Home: 0, End: last, Escape: -1 }[e.key];
    if (to === undefined || (e.key === 'Escape' && index < 0)) return;
    e.preventDefault();
    read(e.key === 'Escape' ? -1 : Math.min(last, Math.max(0, to)));
  });

  function redraw() {
    fill(key, legend(spec.series));
    canvas.setAttribute('aria-label', `${spec.title}: the arrow keys read its points`);
    if (asTable.open) fill(alternative, table(spec));
    draw();
  }
  new ResizeObserver(([e]) => {
    if (Math.abs(e.contentRect.width - width) < 1) return;
    width = e.contentRect.width;
    draw();
  }).observe(canvas);
  redraw();
  figure.update = (change) => { Object.assign(spec, change); redraw(); };
  return figure;
}

/* Two or more histograms over one span, each as shares of its own whole, so that few pairs of one person stand beside
 * many of strangers. series: [{ name, kind, counts }] */
export function histograms({ lo, hi, series, x = {}, ...rest }) {
  const bins = Math.max(...series.map((s) => s.counts.length)), wide = (hi - lo) / bins;
  const shares = series.map((s) => {
    const all = s.counts.reduce((a, b) => a + b, 0) || 1;
    const share = s.counts.map((n) => n / all), points = share.map((v, i) => ({ x: lo + i * wide, y: v, title: `${percent(v)} (${plain(s.counts[i])})` }));
    return { ...s, step: true, area: true, points: [...points, { x: hi, y: share[bins - 1], title: '' }] };
  });
  return plot({ ...rest, x: { lo, hi, ...x }, y: { label: 'share', lo: 0, format: percent, hidden: true }, series: shares });
}

/* Shapes without axes behind something else, such as the ruler: y from 0 to 1, x from 0 to 1 of the width. */
export const ridge = (series) => svg('svg', { class: 'ridge', viewBox: '0 0 1000 100', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, series.filter((s) => s.points.length > 1).map((s) =>
  svg('path', { class: `ridge-shape s-${s.kind}`, d: `M${word(1000 * s.points[0].x)} 100${line(s.points.map((p) => [1000 * p.x, 100 * (1 - p.y)])).replace('M', 'L')}L${word(1000 * s.points[s.points.length - 1].x)} 100Z` })));
