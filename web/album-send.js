/* Pictures on their way into an album, and the job that groups their faces, each with its progress on the page. */
import { call, may, session } from './api.js';
import { fill, failed, toast, number } from './ui.js';
import { sendSet } from './sets.js';
import { progressCard, follow, stopJob } from './jobs.js';

/* A card with the progress where `place` is. Resolves to { set, refused }, or null when it was stopped or failed. */
export async function sendInto(place, chosen, { into, signal } = {}) {
  if (!chosen.items.length) {
    toast('There are no pictures in there: JPEG, PNG, WebP or HEIC.', { kind: 'error' });
    return null;
  }
  const stop = new AbortController(), end = () => stop.abort();
  const card = progressCard({ onstop: end });
  if (signal) signal.addEventListener('abort', end);
  const show = (done, refused) => card.show('Looking for faces', done, chosen.items.length,
    `Picture ${done} of ${chosen.items.length}${refused ? `, ${refused} could not be taken` : ''}. You may stay on other things, but keep this page open.`);
  fill(place, card.element);
  show(0, 0);
  try {
    return await sendSet(chosen, { into, purpose: 'album', signal: stop.signal, onprogress: (p) => show(p.done, p.refused) });
  } catch (e) {
    failed(e);
    return null;
  } finally {
    fill(place);
    if (signal) signal.removeEventListener('abort', end);
  }
}

/* ---- grouping ---- */

const phases = { waiting: 'Waiting for other work to end', opening: 'Grouping the faces', grouping: 'Grouping the faces', judging: 'Comparing with the folders' };

/* Ask for the grouping; `names`: take those of the people who are enrolled. */
export const groupFaces = (set, { names = may('read'), ...how } = {}) =>
  call('POST', '/v1/cluster', { json: { set, ...(names ? { collection: session.collection } : {}), ...how } });

/* The job on this album that has not ended, where there is one: the page may have been loaded anew. */
export async function runningJob(set) {
  const { jobs } = await call('GET', '/v1/jobs', { query: { kind: 'cluster' } });
  return jobs.find((j) => j.args.set === set && ['queued', 'running'].includes(j.state)) || null;
}

/* Follow the job where `place` is. Resolves to its result, or null when it was stopped, failed, or the page was left. */
export async function followGrouping(place, job, signal) {
  const card = progressCard({ onstop: () => stopJob(job.id).catch(failed) });
  fill(place, card.element);
  try {
    const end = await follow(job, (j) => {
      const { phase, done, total } = j.progress;
      card.show(phases[phase] || phases.grouping, done, total, phase === 'grouping' && total ? `${number(done)} of ${number(total)} faces compared` : '');
    }, signal);
    if (end.state === 'failed') toast(`The faces could not be grouped: ${end.error.message}.`, { kind: 'error' });
    if (end.state === 'stopped') toast('Stopped. The groups are as they were.');
    return end.state === 'done' ? end.result : null;
  } catch (e) {
    failed(e);
    return null;
  } finally {
    fill(place);
  }
}
