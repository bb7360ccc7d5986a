/* Enrolling: pictures are judged as they come in, so that the person in front of the screen can still take a better one. */
import { call, within, form } from './api.js';
import { h, fill, icon, iconButton, button, badge, field, check, dialog, toast, failed, busy, plural, sentence } from './ui.js';
import { dropZone, takeDrops, takePastes, chooser, cropFace, grab, openCamera, closeCamera } from './picture.js';

const MAX_PICTURES = 20;
const LOOK_MS = 350; /* between two looks through the camera */

/* What to do about it. Codes are stable (mien/quality.h). */
const advice = {
  NONE: 'good', NO_FACE: 'no face found', MANY_FACES: 'several faces', TOO_SMALL: 'too small: come closer', TOO_BLURRED: 'blurred: hold still',
  TOO_TURNED: 'turned away: look at the camera', TOO_DARK: 'too dark', TOO_BRIGHT: 'overexposed', CUT_OFF: 'cut off: move into the middle',
  DUPLICATE_IMAGE: 'enrolled already', LOOKS_LIKE_ANOTHER_PERSON: 'looks like another person',
  UNLIKE_THE_PERSON: 'unlike this person’s pictures', DO_NOT_ENROL: 'on the do-not-enrol list', UNREADABLE: 'not a readable picture',
};
const words = (reason) => advice[reason] || reason.toLowerCase().replaceAll('_', ' ');

/* ---- camera ---- */

/* A finder that says what is wrong while one looks into it. Calls onshot with each picture taken. */
function finder(stream, onshot, onclose) {
  const video = h('video', { autoplay: true, playsinline: true, srcObject: stream, 'aria-label': 'Camera' });
  video.muted = true;
  const state = h('span', { role: 'status' }, 'Looking…');
  const shoot = button('Take the picture', () => busy(shoot, async () => onshot(await grab(video, 1600, 0.95))), { kind: 'primary small', symbol: 'camera' });
  const box = h('div', {}, h('div', { class: 'finder' }, video),
    h('div', { class: 'finder-bar' }, state, h('span', { class: 'actions' }, onclose && button('Close', onclose, { kind: 'small' }), shoot)));
  (async () => {
    await video.play().catch(() => {});
    for (let last = ''; stream.active; await new Promise((done) => setTimeout(done, LOOK_MS))) {
      if (!video.videoWidth || !box.isConnected) continue;
      const { faces } = await grab(video, 960).then((file) => call('POST', '/v1/detect', { form: form({ file }) })).catch(() => ({ faces: null }));
      if (!faces) continue;
      const reason = faces.length === 0 ? 'NO_FACE' : faces.length > 1 ? 'MANY_FACES' : faces[0].reason;
      if (reason !== last) fill(state, badge(reason === 'NONE' ? 'Good: take the picture' : words(reason), reason === 'NONE' ? 'yes' : 'warn'));
      last = reason;
    }
  })();
  return box;
}

export function cameraDialog(stream, ontaken) {
  const d = dialog('Camera', { wide: true, onclose: () => closeCamera(stream) });
  fill(d.body, finder(stream, (file) => { d.close(); ontaken(file); }));
}

/* ---- pictures under judgement ---- */

class Shots {
  constructor(onchange) {
    this.all = [];
    this.onchange = onchange;
    this.box = h('div', { class: 'shots' });
  }

  add(files) {
    const room = MAX_PICTURES - this.all.length;
    if (files.length > room) toast(`At most ${MAX_PICTURES} pictures at once.`, { kind: 'error' });
    for (const file of files.slice(0, room)) {
      const shot = { file, send: file, url: URL.createObjectURL(file), state: 'running', at: 0 };
      this.all.push(shot);
      this.judge(shot);
    }
    this.draw();
  }

  async judge(shot) {
    try {
      shot.faces = (await call('POST', '/v1/detect', { form: form({ file: shot.file }) })).faces;
      await this.choose(shot, 0);
    } catch (e) {
      shot.state = 'failed';
      shot.fault = e.message;
    }
    this.draw();
  }

  /* Of several faces one is cut out; the picture of the others is not sent. */
  async choose(shot, at) {
    shot.at = at;
    shot.state = 'done';
    shot.outcome = null;
    if (shot.faces.length === 0) shot.reason = 'NO_FACE';
    else {
      shot.reason = shot.faces[at].reason;
      if (shot.faces.length > 1) {
        shot.send = await cropFace(shot.file, shot.faces[at].box, shot.faces.filter((f) => f !== shot.faces[at]).map((f) => f.box), shot.file.name);
        URL.revokeObjectURL(shot.url);
        shot.url = URL.createObjectURL(shot.send);
      }
    }
  }

  remove(shot) {
    URL.revokeObjectURL(shot.url);
    this.all = this.all.filter((s) => s !== shot);
    this.draw();
  }

  leave() {
    for (const s of this.all) URL.revokeObjectURL(s.url);
  }

  /* Those with a face in them; what else is wrong the server decides. */
  usable() {
    return this.all.filter((s) => s.state === 'done' && s.reason !== 'NO_FACE');
  }

  draw() {
    fill(this.box, this.all.map((s) => this.tile(s)));
    this.onchange();
  }

  tile(s) {
    const image = h('img', { src: s.url, alt: s.file.name, onerror: (e) => e.target.replaceWith(h('div', { class: 'no-picture' }, icon('picture'))) });
    const reason = s.outcome || s.reason;
    const verdict = s.state === 'running' ? badge('looking…') : s.state === 'failed' ? badge(s.fault, 'bad') : badge(words(reason), reason === 'NONE' ? 'yes' : 'warn');
    const face = s.faces && s.faces[s.at];
    const next = s.faces && s.faces.length > 1 && button(`Face ${s.at + 1} of ${s.faces.length}`, async () => {
      await this.choose(s, (s.at + 1) % s.faces.length).catch(failed);
      this.draw();
    }, { kind: 'quiet small', 'aria-label': `Face ${s.at + 1} of ${s.faces.length}: take the next one` });
    return h('div', { class: 'shot' }, image, iconButton(`Leave out ${s.file.name}`, 'close', () => this.remove(s)),
      h('div', { class: 'shot-text' }, verdict, next,
        face && face.quality && h('div', { class: 'quality', role: 'img', 'aria-label': `Quality ${Math.round(100 * face.quality.score)} of 100` },
          h('i', { style: { width: `${Math.round(100 * face.quality.score)}%` } }))));
  }
}

/* ---- consent ---- */

const toMs = (date) => (date ? new Date(`${date}T23:59:59`).getTime() : undefined);
/* the day as people here call it, for a date field */
const toDate = (ms) => (ms ? new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short' }).format(ms) : '');

export function consentFields(consent = {}) {
  const purpose = h('input', { value: consent.purpose || '', placeholder: 'Entrance of the studio', maxlength: '500' });
  const basis = h('input', { value: consent.basis || '', placeholder: 'Signed form of 3 May', maxlength: '500' });
  const expires = h('input', { type: 'date', value: toDate(consent.expires_ms) });
  return {
    box: h('div', { class: 'form' }, field('Purpose', purpose), field('Basis', basis, 'How the person agreed, or what else allows it.'),
      field('Expires', expires, 'After this day the person is no longer recognised. Without one, what Settings say for new people holds.')),
    read: () => ({ purpose: purpose.value.trim(), basis: basis.value.trim(), expires_ms: toMs(expires.value) }),
  };
}

/* ---- the dialog ---- */

async function suggestNames(list, text) {
  if (text.length < 2) return;
  const { people } = await within('GET', '/v1/people', { query: { match: text, limit: 8 } });
  fill(list, people.map((p) => h('option', { value: p.name })));
}

/* person: { id, name } to give someone more pictures, else a name is asked for. */
export function enrolDialog({ files = [], person = null, onenrolled }) {
  let stream = null;
  const d = dialog(person ? `More pictures of ${person.name}` : 'Enrol a person', { wide: true, onclose: () => { closeCamera(stream); shots.leave(); } });
  const names = h('datalist', { id: 'known-names' });
  const name = h('input', { required: true, maxlength: '200', list: 'known-names', autocomplete: 'off',
    oninput: () => { suggestNames(names, name.value.trim()).catch(() => {}); refresh(); } });
  const keep = check('Keep the pictures', 'Shown on the person’s page, and needed to move to another model. Without it only the template is stored.',
    localStorage.getItem('mien.keep') === '1');
  const consent = consentFields();
  const camera = h('div', {}), problem = h('div', {});
  const shots = new Shots(() => refresh());
  const submit = button('Enrol', () => busy(submit, () => send(0)), { kind: 'primary' });
  const place = h('div', {});

  function refresh() {
    const n = shots.usable().length;
    submit.querySelector('span').textContent = n > 1 ? `Enrol ${n} pictures` : 'Enrol';
    if (!submit.hasAttribute('aria-busy')) submit.disabled = n === 0 || (!person && !name.value.trim());
    const tools = [button('Camera', openFinder, { symbol: 'camera' })];
    if (shots.all.length === 0 && !place.querySelector('.drop'))
      fill(place, dropZone('Drop pictures of one person', 'Three or four that differ a little, looking at the camera, make the best template.', null,
        { onchoose: (f) => shots.add(f), more: tools, slim: true }));
    else if (shots.all.length && !place.contains(shots.box))
      fill(place, shots.box, h('div', { class: 'actions more-pictures' }, chooser('Add pictures', (f) => shots.add(f)), tools));
  }

  async function openFinder() {
    if (stream) return;
    try {
      stream = await openCamera();
    } catch (e) {
      failed(e);
      return;
    }
    const end = () => { closeCamera(stream); stream = null; fill(camera); };
    if (!d.box.open) {
      end();
      return;
    }
    fill(camera, finder(stream, (file) => shots.add([file]), end));
    camera.scrollIntoView({ block: 'nearest' });
  }

  async function send(force) {
    const sent = shots.usable();
    const fields = { name: person ? undefined : name.value.trim(), keep_images: keep.input.checked ? 1 : 0, force, ...(person ? {} : consent.read()) };
    sent.forEach((s, i) => { fields[i ? `file${i}` : 'file'] = s.send; });
    localStorage.setItem('mien.keep', keep.input.checked ? '1' : '0');
    fill(problem);
    try {
      const r = await within('POST', person ? `/v1/people/${person.id}/faces` : '/v1/people', { form: form(fields) });
      const left = r.pictures.filter((p) => !p.enrolled);
      toast(`${plural(r.enrolled, 'picture')} of ${person ? person.name : fields.name} enrolled${left.length ? `, ${left.length} left out: ${words(left[0].reason)}` : ''}.`,
        person ? {} : { label: 'Show', action: () => { window.location.hash = `#/people/${r.person}`; } });
      d.close();
      if (onenrolled) onenrolled(r);
    } catch (e) {
      if (!e.details || !e.details.pictures) throw e;
      e.details.pictures.forEach((p, i) => { sent[i].outcome = p.reason; });
      shots.draw();
      refuse(e);
    }
  }

  /* Nothing was taken: say why, show whom it looks like, and leave the decision to the person at the screen. */
  function refuse(e) {
    const other = e.details.pictures.find((p) => p.other_person);
    const final = ['NO_FACE', 'DUPLICATE_IMAGE', 'DO_NOT_ENROL', 'UNREADABLE'];
    fill(problem, h('div', { class: 'card pad form', role: 'alert' }, h('p', {}, sentence(e.message)),
      h('div', { class: 'actions' },
        other && h('a', { class: 'button small', href: `#/people/${other.other_person}`, target: '_blank', rel: 'noopener' }, 'Show that person'),
        !final.includes(e.code) && button('Enrol anyway', (ev) => busy(ev.currentTarget, () => send(1)), { kind: 'small' }))));
    problem.scrollIntoView({ block: 'nearest' });
  }

  takeDrops(d.box, (f) => shots.add(f));
  takePastes(d.body, (f) => shots.add(f));
  fill(d.body, !person && field('Name', name), names, place, camera, problem, keep.row,
    !person && h('details', { class: 'more' }, h('summary', {}, 'Consent and expiry'), h('div', {}, consent.box)));
  fill(d.foot, button('Cancel', d.close), submit);
  if (files.length) shots.add(files);
  refresh();
  if (!person) name.focus();
}
