/* What is kept, until when, and removing it: people with an end, sets of faces, results of jobs. */
import { call, session, may } from './api.js';
import { h, fill, button, iconButton, badge, field, table, confirm, toast, failed, number, plural, moment } from './ui.js';
import { stopJob, ended } from './jobs.js';
import { removeSet } from './sets.js';

const WEEK = 7 * 24 * 3600 * 1000;
const spans = [[0, 'never'], [30, 'after 30 days'], [90, 'after 90 days'], [180, 'after half a year'], [365, 'after a year'], [730, 'after two years'], [1825, 'after five years']];

export async function expire(c, again) {
  if (!await confirm('Remove expired people?', `${plural(c.expired, 'person', 'people')} of “${c.name}”, whose consent has run out, are destroyed. This cannot be undone.`, 'Remove')) return;
  try {
    const { removed } = await call('POST', '/v1/people/expire', { query: { collection: c.name } });
    toast(`${plural(removed, 'person', 'people')} removed.`);
    again();
  } catch (e) {
    failed(e);
  }
}

function people(c, again) {
  const all = spans.some(([d]) => d === c.retention_days) ? spans : [...spans, [c.retention_days, `after ${plural(c.retention_days, 'day')}`]];
  const select = h('select', { onchange: async () => {
    try {
      await call('PATCH', `/v1/collections/${encodeURIComponent(c.name)}`, { json: { retention_days: Number(select.value) } });
      toast(Number(select.value) ? 'Whoever is enrolled from now on expires then.' : 'Whoever is enrolled from now on stays.');
    } catch (e) {
      failed(e);
      again();
    }
  } }, all.map(([days, label]) => h('option', { value: String(days) }, label)));
  select.value = String(c.retention_days);
  return h('section', { class: 'card pad form', 'aria-labelledby': 'kept-people' }, h('h2', { id: 'kept-people' }, `People of “${c.name}”`),
    h('div', { class: 'two' }, field('New people expire', select, 'Unless a day is set for them. From then on nobody is recognised as them.'),
      h('div', { class: 'field' }, h('span', { class: 'label' }, 'Expired'), h('div', { class: 'actions' }, c.expired > 0 ? [badge(plural(c.expired, 'person', 'people'), 'warn'),
        button('Remove them…', () => expire(c, again), { kind: 'danger-quiet small', symbol: 'trash' })] : badge('nobody')), h('p', { class: 'hint' }, 'They stay in the file until they are removed.'))));
}

const kinds = { cluster: 'Album', eval: 'Evaluation', calibrate: 'Calibration', train: 'Training' };
const states = { queued: 'waiting', running: 'running', done: 'done', failed: 'failed', stopped: 'stopped' };

const removable = (label, remove) => h('td', { class: 'end' }, iconButton(label, 'trash', async () => {
  try {
    await remove();
  } catch (e) {
    failed(e);
  }
}));

function section(id, title, text, heads, rows) {
  return h('section', { 'aria-labelledby': id }, h('h2', { class: 'section-title', id }, title), h('p', { class: 'hint section-text' }, text), rows.length > 0 && table(title, heads, rows));
}

export async function retention(place) {
  const again = () => retention(place).catch(failed);
  const [c, { sets }, { jobs }] = await Promise.all([call('GET', `/v1/collections/${encodeURIComponent(session.collection)}`), call('GET', '/v1/sets'), call('GET', '/v1/jobs')]);
  fill(place, may('admin') && people(c, again),
    section('kept-sets', 'Faces of pictures that were sent', sets.length ? 'For albums, evaluations and training. Templates and small pictures of faces are kept until the time named, then destroyed.'
      : 'Nothing is kept. Faces of folders that are sent for albums, evaluations and training stand here until their time is over.',
    ['Name', 'Pictures', 'Sent', 'Kept until', ''], sets.map((s) => h('tr', {}, h('td', { class: 'clip' }, s.name || 'without a name'), h('td', {}, number(s.pictures), s.people > 0 && h('small', { class: 'under' }, plural(s.people, 'person', 'people'))),
      h('td', { class: 'line' }, moment(s.created_ms)), h('td', { class: 'line' }, moment(s.expires_ms)), removable(`Remove the faces of ${s.name || moment(s.created_ms)}`, async () => { await removeSet(s.id); await again(); })))),
    section('kept-jobs', 'Results', jobs.length ? 'Figures and reports are kept for a week after their end.' : 'Nothing is kept. Figures and reports of evaluations and training stand here for a week.',
      ['What', 'On', 'State', 'Ended', 'Kept until', ''], jobs.map((j) => h('tr', {}, h('td', {}, kinds[j.kind] || j.kind), h('td', { class: 'clip' }, j.args.name || '–'), h('td', {}, badge(states[j.state], j.state === 'failed' ? 'bad' : '')),
        h('td', { class: 'line' }, moment(j.ended_ms)), h('td', { class: 'line' }, j.ended_ms ? moment(j.ended_ms + WEEK) : '–'),
        removable(`${ended(j) ? 'Remove' : 'Stop'} the ${(kinds[j.kind] || j.kind).toLowerCase()} of ${moment(j.created_ms)}`, async () => { await stopJob(j.id); await again(); })))));
}
