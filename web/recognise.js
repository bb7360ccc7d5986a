/* Recognise: pictures or the camera in, names or "unknown" out, each with what the decision means. */
import { within, form, may } from './api.js';
import { h, fill, button, portrait, ruler, sentence, spinner, failed, announce, plural, badge } from './ui.js';
import { dropZone, takeDrops, takePastes, chooser, cropFace, showSmall, showBoxes, moveBoxes, grab, openCamera, closeCamera } from './picture.js';
import { enrolDialog } from './enrol.js';

const AT_ONCE = 2;        /* pictures under way */
const MIN_FRAME_MS = 250; /* between two frames of the camera */
const FRAME_FACES = 12;

const labelOf = (f) => (f.known ? f.person.name : 'Unknown');

export function recognisePage(main) {
  const page = new Recognise(main);
  page.showEmpty();
  return () => page.leave();
}

class Recognise {
  constructor(main) {
    this.items = [];
    this.shown = null;
    this.running = 0;
    this.stream = null;
    this.body = h('div', {});
    this.tools = h('div', { class: 'actions' });
    const whole = h('div', { class: 'whole' });
    fill(main, whole);
    fill(whole, h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, 'Recognise'),
      h('p', {}, 'Who is in these pictures? Faces of people you have enrolled get their name; everyone else stays unknown.')), this.tools), this.body);
    takeDrops(whole, (files) => this.addFiles(files));
    takePastes(this.body, (files) => this.addFiles(files));
  }

  leave() {
    closeCamera(this.stream);
    this.stream = null;
    for (const i of this.items) URL.revokeObjectURL(i.url);
    this.items = [];
    this.shown = null;
  }

  showEmpty() {
    this.leave();
    fill(this.tools);
    /* the page as a whole takes drops and pastes, so the zone itself takes neither */
    fill(this.body, dropZone('Drop pictures here', 'Or paste one. JPEG, PNG, WebP or HEIC, up to 16 MB each. They are looked at and forgotten, unless you enrol a face.',
      null, { onchoose: (files) => this.addFiles(files), more: [button('Use the camera', () => this.startCamera(), { symbol: 'camera' })] }));
  }

  layOut() {
    this.stage = h('div', { class: 'stage' });
    this.panel = h('section', { class: 'card', 'aria-label': 'Faces' });
    this.strip = h('div', { class: 'strip', role: 'group', 'aria-label': 'Pictures' });
    fill(this.body, h('div', { class: 'recognise' }, h('div', {}, this.stage, this.strip), this.panel));
  }

  /* ---- pictures ---- */

  addFiles(files) {
    if (this.stream) this.leave();
    if (this.items.length === 0) {
      this.layOut();
      fill(this.tools, chooser('Add pictures', (more) => this.addFiles(more)), button('Camera', () => this.startCamera(), { symbol: 'camera' }),
        button('Clear', () => this.showEmpty(), { kind: 'quiet' }));
    }
    const fresh = files.map((file) => ({ file, url: URL.createObjectURL(file), state: 'waiting' }));
    this.items.push(...fresh);
    this.show(fresh[0]);
    this.work();
  }

  async work() {
    while (this.running < AT_ONCE) {
      const next = this.items.find((i) => i.state === 'waiting');
      if (!next) return;
      next.state = 'running';
      this.running++;
      this.look(next).finally(() => { this.running--; this.work(); });
    }
  }

  async look(item) {
    item.state = 'running';
    this.refresh(item);
    try {
      item.answer = await within('POST', '/v1/identify', { form: form({ file: item.file }) });
      item.state = 'done';
      announce(`${item.file.name}: ${item.answer.faces.length ? item.answer.faces.map(labelOf).join(', ') : 'no face found'}`);
    } catch (e) {
      item.state = 'failed';
      item.fault = e.message;
      failed(e);
    }
    this.refresh(item);
  }

  refresh(item) {
    if (!this.items.includes(item)) return;
    this.showStrip();
    if (this.shown === item) this.show(item);
  }

  showStrip() {
    if (this.items.length < 2) {
      fill(this.strip);
      return;
    }
    const state = (i) => (i.state === 'done' ? plural(i.answer.faces.length, 'face') : i.state === 'failed' ? 'failed' : 'looking');
    fill(this.strip, this.items.map((item, i) => h('button', {
      type: 'button', class: 'thumb', 'aria-pressed': String(item === this.shown), 'aria-label': `Picture ${i + 1}: ${item.file.name}, ${state(item)}`,
      onclick: () => this.show(item) }, h('img', { src: item.url, alt: '' }),
    item.state === 'done' ? badge(String(item.answer.faces.length)) : item.state === 'failed' ? badge('!', 'bad') : badge('…'))));
  }

  show(item) {
    this.shown = item;
    this.showStrip();
    this.stage.classList.toggle('working', item.state === 'running' || item.state === 'waiting');
    const layer = h('div', { class: 'boxes' });
    const image = h('img', { src: item.url, alt: item.file.name,
      onerror: () => fill(this.stage, h('p', { class: 'stage-note' }, 'This browser cannot show this kind of picture. The faces in it are listed all the same.')) });
    fill(this.stage, h('div', { class: 'stage-fit' }, image, layer));
    if (item.state === 'failed') this.note(sentence(item.fault));
    else if (item.state !== 'done') fill(this.panel, h('div', { class: 'panel-note' }, spinner('Looking for faces')));
    else this.showFaces(item.answer, layer, item.file, (done) => { if (done) this.look(item); });
  }

  note(text) {
    fill(this.panel, h('p', { class: 'panel-note' }, text));
  }

  /* Boxes and rows of one answer; `image` is the file to cut faces from. */
  showFaces(answer, layer, image, after) {
    const { faces, width, height, people } = answer;
    if (faces.length === 0) {
      fill(layer);
      this.note('No face was found in this picture.');
      return;
    }
    const enrol = async (f) => {
      try {
        const others = faces.filter((o) => o !== f).map((o) => o.box);
        enrolDialog({ files: [await cropFace(image, f.box, others)], onenrolled: after });
      } catch (e) {
        failed(e);
      }
    };
    const pick = (i) => {
      rows.forEach((r, k) => r.classList.toggle('picked', k === i));
      [...layer.children].forEach((b, k) => b.classList.toggle('picked', k === i));
      rows[i].scrollIntoView({ block: 'nearest' });
      if (!faces[i].known && may('enrol')) enrol(faces[i]);
    };
    const rows = faces.map((f, i) => this.row(f, i, enrol));
    fill(this.panel, h('div', { class: 'panel-head' }, h('h2', {}, plural(faces.length, 'face')),
      h('span', { class: 'hint' }, `${plural(people, 'person', 'people')} enrolled`)), h('div', { class: 'face-list' }, rows));
    showSmall(image, faces.map((f) => f.box), rows.map((r) => r.querySelector('.portrait')));
    showBoxes(layer, faces.map((f) => ({ box: f.box, label: labelOf(f), kind: f.known ? 'known' : 'unknown' })), width, height, pick);
  }

  row(f, i, enrol) {
    const best = f.person || f.candidates[0];
    return h('article', { class: 'face-row' }, portrait(f.known ? f.person.name : `${i + 1}`, null, f.known ? '' : 'unknown'),
      h('div', {}, h('h3', {}, !f.known ? 'Unknown' : may('read') ? h('a', { href: `#/people/${f.person.person}` }, f.person.name) : f.person.name, badge(f.known ? 'known' : 'not enrolled', f.known ? 'yes' : '')),
        h('p', { class: 'words' }, sentence(f.words)),
        best && ruler(best.similarity, f.threshold),
        best && h('p', { class: 'score' }, f.known ? `similarity ${best.similarity.toFixed(2)} · threshold ${f.threshold.toFixed(2)}`
          : `nearest ${best.similarity.toFixed(2)} · threshold ${f.threshold.toFixed(2)}`),
        !f.known && may('enrol') && h('div', { class: 'actions' }, button('Enrol as…', () => enrol(f), { kind: 'small', symbol: 'plus' }))));
  }

  /* ---- camera ---- */

  async startCamera() {
    let stream;
    try {
      stream = await openCamera();
    } catch (e) {
      failed(e);
      return;
    }
    this.leave();
    this.stream = stream;
    this.layOut();
    fill(this.tools, button('Stop the camera', () => this.showEmpty(), { kind: 'primary' }));
    const video = h('video', { autoplay: true, playsinline: true, muted: true, srcObject: stream, 'aria-label': 'Camera' });
    video.muted = true;
    const layer = h('div', { class: 'boxes' });
    fill(this.stage, h('div', { class: 'stage-fit' }, video, layer));
    this.note('Looking…');
    await video.play().catch(() => {});
    this.watch(stream, video, layer);
  }

  async watch(stream, video, layer) {
    let said = '';
    while (this.stream === stream) {
      const start = performance.now();
      if (video.videoWidth && !document.hidden && !document.querySelector('dialog[open]')) {
        try {
          const frame = await grab(video);
          const answer = await within('POST', '/v1/identify', { form: form({ file: frame }), query: { limit: FRAME_FACES } });
          if (this.stream !== stream) return;
          this.showFrame(answer, layer, frame);
          const names = answer.faces.map(labelOf).sort().join(', ') || 'nobody';
          if (names !== said) announce(names);
          said = names;
        } catch (e) {
          failed(e);
          if (e.status !== 429) {
            this.showEmpty();
            return;
          }
        }
      }
      await new Promise((done) => setTimeout(done, Math.max(50, MIN_FRAME_MS - (performance.now() - start))));
    }
  }

  /* While somebody's focus is on a face, boxes move but nothing is drawn anew until the answer is another one. */
  showFrame(answer, layer, frame) {
    const at = document.activeElement, held = this.panel.contains(at) || layer.contains(at);
    const names = answer.faces.map(labelOf).join('\n');
    if (held && names === this.names) {
      moveBoxes(layer, answer.faces.map((f) => f.box), answer.width, answer.height);
      return;
    }
    this.names = names;
    this.showFaces(answer, layer, frame, () => {});
    if (answer.faces.length === 0) this.note('Nobody is in front of the camera.');
    if (held) (this.panel.querySelector('button, a') || document.getElementById('main')).focus({ preventScroll: true });
  }
}
