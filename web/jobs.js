/* Long work: following a job of the server, and showing how far something is. */
import { call } from './api.js';
import { h, fill, button, number, announce } from './ui.js';

const EVERY_MS = 500;
const wait = (ms, signal) => new Promise((done, fail) => {
  const stop = () => { clearTimeout(timer); fail(new DOMException('stopped', 'AbortError')); };
  const timer = setTimeout(() => { if (signal) signal.removeEventListener('abort', stop); done(); }, ms);
  if (signal) signal.addEventListener('abort', stop, { once: true });
});

export const ended = (job) => ['done', 'failed', 'stopped'].includes(job.state);

/* Ask until the job has ended; onchange(job) each time. Aborting `signal` ends the asking, not the job. */
export async function follow(job, onchange = () => {}, signal = undefined) {
  for (let now = job; ; now = await call('GET', `/v1/jobs/${job.id}`, { signal })) {
    onchange(now);
    if (ended(now)) return now;
    await wait(EVERY_MS, signal);
  }
}

export const stopJob = (id) => call('DELETE', `/v1/jobs/${id}`);
export const fileAddress = (job, name) => `/v1/jobs/${job.id}/files/${name}`;

/* A bar with a title and a line of words: { element, show(title, done, total, words) }. total 0: it only moves. */
export function progressCard({ onstop, stopLabel = 'Stop' } = {}) {
  const title = h('h2', {}), words = h('p', { class: 'hint' }), bar = h('progress', { max: 1 });
  const element = h('section', { class: 'card pad progress-card' }, h('div', { class: 'progress-head' }, h('div', {}, title, words),
    onstop && button(stopLabel, onstop, { kind: 'quiet' })), bar);
  let said = '';
  return { element,
    show(what, done, total, text) {
      fill(title, what);
      fill(words, text !== undefined ? text : total ? `${number(done)} of ${number(total)}` : '');
      bar.setAttribute('aria-label', what);
      if (total) bar.value = Math.min(1, done / total);
      else bar.removeAttribute('value');
      if (what !== said) announce(said = what);
    } };
}
