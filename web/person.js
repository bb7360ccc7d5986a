/* One person: their faces, what is known of them, and everything that can be done about it. */
import { within, imageAddress, may } from './api.js';
import { h, fill, icon, iconButton, button, badge, field, check, dialog, confirm, facts, portrait, spinner, empty, toast, failed, busy, plural, day, moment, number, bytes } from './ui.js';
import { enrolDialog, consentFields } from './enrol.js';
import { pickPerson } from './people.js';

const back = () => h('a', { class: 'crumb', href: '#/people' }, icon('back'), 'People');

export async function personPage(main, id) {
  let person = null;
  const chosen = new Set();
  fill(main, spinner());

  async function load() {
    try {
      person = await within('GET', `/v1/people/${id}`);
      chosen.clear();
      draw();
    } catch (e) {
      fill(main, back(), empty('people', 'Nobody here', e.status === 404 ? 'This person was removed, or belongs to another collection.' : e.message));
      if (e.status !== 404) failed(e);
    }
  }

  async function undo() {
    const { undone } = await within('POST', '/v1/people/undo');
    toast(`Taken back: ${undone}.`);
    await load();
  }
  const undoable = { label: 'Undo', action: () => undo().catch(failed) };

  function draw() {
    document.title = `${person.name} · mien`;
    const kept = person.face_list.find((f) => f.has_image);
    const write = may('enrol');
    fill(main, back(), h('div', { class: 'person-head' }, portrait(person.name, kept && imageAddress(kept.id), 'large'),
      h('div', {}, h('h1', {}, person.name), h('p', { class: 'hint' }, plural(person.faces, 'face'), person.seen_ms ? ` · last recognised ${moment(person.seen_ms)}` : '',
        ' ', person.expired && badge('expired', 'warn'))),
      write && h('div', { class: 'actions' }, button('Add pictures', () => enrolDialog({ person, onenrolled: load }), { kind: 'primary', symbol: 'plus' }),
        button('Edit', () => editDialog(person, load, undoable), { symbol: 'edit' }), button('Merge…', merge, { symbol: 'merge' }))),
    h('div', { class: 'person-body' }, facesCard(write),
      h('div', { class: 'stack' }, aboutCard(), write && h('section', { class: 'card pad form', 'aria-labelledby': 'remove-title' }, h('h2', { id: 'remove-title' }, 'Remove'),
        h('p', { class: 'hint' }, 'Templates and pictures are destroyed, the file is searched for what might be left, and you get a receipt.'),
        h('div', {}, button('Remove this person…', removePerson, { kind: 'danger-quiet', symbol: 'trash' }))))));
  }

  function aboutCard() {
    const c = person.consent;
    return h('section', { class: 'card pad', 'aria-labelledby': 'about-title' }, h('h2', { id: 'about-title' }, 'About'), facts(
      ['Note', person.note || '–'], ['Purpose', c.purpose || '–'], ['Basis', c.basis || '–'], ['Expires', c.expires_ms ? day(c.expires_ms) : 'never'],
      ['Enrolled', day(person.created_ms)], ['Changed', day(person.changed_ms)]));
  }

  function facesCard(write) {
    const split = button('Split…', splitDialog, { kind: 'small', symbol: 'split', disabled: true });
    const label = h('span', { class: 'hint', role: 'status' });
    const refresh = () => {
      const all = chosen.size === person.face_list.length;
      split.disabled = chosen.size === 0 || all;
      label.textContent = chosen.size === 0 ? '' : all ? 'leave at least one' : `${chosen.size} chosen`;
    };
    return h('section', { class: 'card', 'aria-labelledby': 'faces-title' },
      h('div', { class: 'panel-head' }, h('h2', { id: 'faces-title' }, 'Faces'), write && person.face_list.length > 1 && h('div', { class: 'actions' }, label, split)),
      h('div', { class: 'faces' }, person.face_list.map((f, i) => faceCard(f, i, write, refresh))));
  }

  function faceCard(f, i, write, refresh) {
    const box = h('div', { class: 'face-card' }, portrait(String(i + 1), f.has_image ? imageAddress(f.id) : null, 'tile'),
      h('div', { class: 'face-text' }, h('span', { class: 'source', title: f.source }, f.source || 'no file name'),
        h('div', {}, h('span', {}, `quality ${Math.round(100 * f.quality.score)}`), write && person.face_list.length > 1 && iconButton(`Remove face ${i + 1}`, 'trash', () => removeFace(f, i))),
        f.outlier && h('span', {}, badge('unlike the others', 'warn'))));
    if (write && person.face_list.length > 1)
      box.prepend(h('label', { class: 'tick' }, h('span', { class: 'unseen' }, `Choose face ${i + 1}`), h('input', { type: 'checkbox', onchange: (e) => {
        if (e.target.checked) chosen.add(f.id);
        else chosen.delete(f.id);
        box.classList.toggle('chosen', e.target.checked);
        refresh();
      } })));
    return box;
  }

  function splitDialog() {
    const d = dialog('Split');
    const name = h('input', { required: true, maxlength: '200' });
    const go = h('button', { type: 'submit', class: 'button primary' }, 'Split');
    const form = h('form', { class: 'form', id: 'split-form', onsubmit: (e) => {
      e.preventDefault();
      busy(go, async () => {
        const made = await within('POST', `/v1/people/${id}/split`, { json: { faces: [...chosen], name: name.value.trim() } });
        d.close();
        await load();
        toast(`${plural(made.faces, 'face')} now ${made.faces === 1 ? 'belongs' : 'belong'} to ${made.name}.`, undoable);
      });
    } }, h('p', {}, `${plural(chosen.size, 'face')} of ${person.name} ${chosen.size === 1 ? 'becomes' : 'become'} a person of ${chosen.size === 1 ? 'its' : 'their'} own.`), field('Name of the new person', name));
    go.setAttribute('form', 'split-form');
    fill(d.body, form);
    fill(d.foot, button('Cancel', d.close), go);
    name.focus();
  }

  function merge() {
    pickPerson(`Merge into ${person.name}`, `Whose faces are also ${person.name}’s? All of them move here and the other name goes. It can be undone.`, 'Merge', id, async (other) => {
      await within('POST', `/v1/people/${id}/merge`, { json: { from: other.id } });
      await load();
      toast(`${other.name} is now part of ${person.name}.`, undoable);
    });
  }

  async function removeFace(f, i) {
    if (!await confirm('Remove this face?', `Face ${i + 1} of ${person.name} is destroyed. This cannot be undone.`, 'Remove')) return;
    try {
      const { receipt } = await within('DELETE', `/v1/faces/${f.id}`);
      await load();
      toast('The face was removed.', { label: 'Receipt', action: () => receiptDialog(receipt) });
    } catch (e) {
      failed(e);
    }
  }

  async function removePerson() {
    const never = check('Do not enrol again', 'Keeps a sealed mark, so that pictures of this person are refused from now on.');
    const answer = await confirm(`Remove ${person.name}?`, `${plural(person.faces, 'face')} and everything about this person are destroyed. This cannot be undone.`, 'Remove',
      { extra: never.row, read: () => ({ never: never.input.checked }) });
    if (!answer) return;
    fill(main, spinner('Removing, and searching the file for what might be left'));
    try {
      const { receipt } = await within('DELETE', `/v1/people/${id}`, { query: { do_not_enrol: answer.never ? 1 : 0 } });
      window.location.hash = '#/people';
      await new Promise((done) => window.addEventListener('hashchange', () => setTimeout(done), { once: true }));
      receiptDialog(receipt);
    } catch (e) {
      failed(e);
      draw();
    }
  }

  await load();
}

function editDialog(person, onsaved, undoable) {
  const d = dialog('Edit');
  const name = h('input', { value: person.name, required: true, maxlength: '200' });
  const note = h('textarea', { value: person.note, maxlength: '2000' });
  const consent = consentFields(person.consent);
  const save = h('button', { type: 'submit', class: 'button primary', form: 'edit-form' }, 'Save');
  fill(d.body, h('form', { class: 'form', id: 'edit-form', onsubmit: (e) => {
    e.preventDefault();
    busy(save, async () => {
      const k = consent.read(), change = { name: name.value.trim(), note: note.value };
      const was = person.consent, due = k.expires_ms || 0;
      if (k.purpose !== was.purpose || k.basis !== was.basis || new Date(due).toDateString() !== new Date(was.expires_ms || 0).toDateString())
        change.consent = { ...k, expires_ms: due, ...(was.given_ms ? { given_ms: was.given_ms } : {}) };
      const renamed = change.name !== person.name;
      await within('PATCH', `/v1/people/${person.id}`, { json: change });
      d.close();
      await onsaved();
      toast(renamed ? `Renamed to ${change.name}.` : 'Saved.', renamed ? undoable : {});
    });
  } }, field('Name', name), field('Note', note), consent.box));
  fill(d.foot, button('Cancel', d.close), save);
  name.select();
}

export function receiptDialog(r) {
  const d = dialog('Receipt of removal');
  fill(d.body, h('p', {}, r.verified ? badge('verified', 'yes') : badge('not verified', 'bad'), ' ',
    r.verified ? 'The collection’s file was searched afterwards and nothing was found.' : 'Something may be left in the file: see the audit log.'),
  facts(['Person', h('span', { class: 'mono' }, r.person)], ['Time', moment(r.time_ms)], ['Faces', number(r.faces)], ['Templates destroyed', number(r.templates)], ['Pictures destroyed', number(r.images)],
    r.key_destroyed && ['Key', 'destroyed'], ['Searched', bytes(r.bytes_searched)], ['Do-not-enrol mark', r.do_not_enrol ? 'kept' : 'none'],
    ['Audit entry', number(r.audit_entry)], ['Audit hash', h('span', { class: 'mono' }, r.audit_hash)]));
  fill(d.foot, button('Download', () => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(r, null, 2)], { type: 'application/json' }));
    const a = h('a', { href: url, download: `receipt-${r.audit_entry}.json` });
    document.body.append(a);
    a.click();
    a.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }, { kind: 'primary', symbol: 'down' }), button('Close', d.close));
}
