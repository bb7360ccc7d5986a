/* Pictures on their way in: from a drop, the clipboard, a file dialog or a camera; crops of faces; face boxes over a picture. */
import { h, fill, icon, button, toast } from './ui.js';

export const MAX_BYTES = 16 << 20;

function usable(files) {
  const good = [];
  for (const f of files) {
    if (f.size > MAX_BYTES) toast(`${f.name || 'The picture'} is larger than 16 MB.`, { kind: 'error' });
    else if (f.type && !f.type.startsWith('image/')) toast(`${f.name || 'This'} is not a picture.`, { kind: 'error' });
    else good.push(f);
  }
  return good;
}

/* Let `area` take dropped pictures. */
export function takeDrops(area, onfiles) {
  let depth = 0;
  const leave = () => { depth = 0; area.classList.remove('over'); };
  area.addEventListener('dragenter', (e) => { e.preventDefault(); depth++; area.classList.add('over'); });
  area.addEventListener('dragover', (e) => e.preventDefault());
  area.addEventListener('dragleave', () => { if (--depth <= 0) leave(); });
  area.addEventListener('drop', (e) => {
    e.preventDefault();
    leave();
    const files = usable([...e.dataTransfer.files]);
    if (files.length) onfiles(files);
  });
}

/* Pictures pasted anywhere while `area` is on the page and no dialog lies over it. */
export function takePastes(area, onfiles) {
  const paste = (e) => {
    if (!area.isConnected) {
      document.removeEventListener('paste', paste);
      return;
    }
    const over = document.querySelector('dialog[open]');
    if (over && !over.contains(area)) return;
    const files = usable([...(e.clipboardData ? e.clipboardData.files : [])]);
    if (files.length) onfiles(files);
  };
  document.addEventListener('paste', paste);
}

export function chooser(label, onfiles, { multiple = true, kind = '', symbol = 'picture' } = {}) {
  const input = h('input', { type: 'file', accept: 'image/*,.heic,.heif', multiple, class: 'unseen', tabindex: '-1', 'aria-label': label,
    onchange: () => { const files = usable([...input.files]); input.value = ''; if (files.length) onfiles(files); } });
  return h('span', { class: 'chooser' }, input, button(label, () => input.click(), { kind, symbol }));
}

/* onfiles null: something around the zone takes drops and pastes, and only the file dialog's choice comes here. */
export function dropZone(title, text, onfiles, { multiple = true, more = [], onchoose = onfiles, slim = false } = {}) {
  const zone = h('div', { class: `drop ${slim ? 'slim' : ''}` }, h('div', { class: 'empty-mark' }, icon('picture')), h('p', { class: 'drop-title' }, title),
    h('p', { class: 'hint' }, text), h('div', { class: 'actions' }, chooser(multiple ? 'Choose pictures' : 'Choose a picture', onchoose, { multiple, kind: 'primary' }), more));
  if (onfiles) {
    takeDrops(zone, onfiles);
    takePastes(zone, onfiles);
  }
  return zone;
}

const jpeg = (canvas, quality) => new Promise((done) => canvas.toBlob(done, 'image/jpeg', quality));

/* What is cut out around a face: enough for the detector to find it again, and of others nothing, where they
 * do not overlap. Each neighbour costs the side that leaves most. */
const MARGIN = 0.7;

function around(box, others, width, height) {
  const m = MARGIN * Math.max(box.x1 - box.x0, box.y1 - box.y0);
  let r = { x0: Math.max(0, box.x0 - m), y0: Math.max(0, box.y0 - m), x1: Math.min(width, box.x1 + m), y1: Math.min(height, box.y1 + m) };
  const area = (q) => (q.x1 - q.x0) * (q.y1 - q.y0);
  for (const o of others) {
    if (o.x1 <= r.x0 || o.x0 >= r.x1 || o.y1 <= r.y0 || o.y0 >= r.y1) continue;
    const cuts = [o.x1 <= box.x0 && { ...r, x0: o.x1 }, o.x0 >= box.x1 && { ...r, x1: o.x0 },
      o.y1 <= box.y0 && { ...r, y0: o.y1 }, o.y0 >= box.y1 && { ...r, y1: o.y0 }].filter(Boolean);
    if (cuts.length) r = cuts.reduce((best, q) => (area(q) > area(best) ? q : best));
  }
  return { x0: Math.ceil(r.x0), y0: Math.ceil(r.y0), x1: Math.floor(r.x1), y1: Math.floor(r.y1) };
}

async function pixels(source) {
  try {
    return await createImageBitmap(source);
  } catch {
    throw new Error('This browser cannot read this kind of picture. Send one with a single face, as JPEG or PNG.');
  }
}

export async function cropFace(source, box, others = [], name = 'face.jpg') {
  const image = await pixels(source), r = around(box, others, image.width, image.height);
  const canvas = h('canvas', { width: r.x1 - r.x0, height: r.y1 - r.y0 });
  canvas.getContext('2d').drawImage(image, -r.x0, -r.y0);
  image.close();
  return new File([await jpeg(canvas, 0.95)], name, { type: 'image/jpeg' });
}

/* Small squares of the faces of a picture, into portraits. What the browser cannot read keeps its letters. */
export async function showSmall(source, boxes, places) {
  const image = await createImageBitmap(source).catch(() => null);
  if (!image) return;
  boxes.forEach((b, i) => {
    const side = 1.25 * Math.max(b.x1 - b.x0, b.y1 - b.y0), canvas = h('canvas', { width: 96, height: 96 });
    canvas.getContext('2d').drawImage(image, (b.x0 + b.x1 - side) / 2, (b.y0 + b.y1 - side) / 2, side, side, 0, 0, 96, 96);
    places[i].append(canvas);
  });
  image.close();
}

/* A frame of a video, at most `most` pixels wide. */
export async function grab(video, most = 960, quality = 0.88) {
  if (!video.videoWidth) throw new Error('The camera is not ready yet.');
  const k = Math.min(1, most / video.videoWidth);
  const canvas = h('canvas', { width: Math.round(video.videoWidth * k), height: Math.round(video.videoHeight * k) });
  canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
  return new File([await jpeg(canvas, quality)], 'camera.jpg', { type: 'image/jpeg' });
}

export async function openCamera() {
  if (!navigator.mediaDevices) throw new Error('This browser gives pages a camera only over HTTPS or on this machine itself.');
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: 'user' }, audio: false });
  } catch (e) {
    const words = { NotAllowedError: 'The browser did not allow the camera.', NotFoundError: 'No camera was found.',
      NotReadableError: 'Another program uses the camera.' };
    throw new Error(words[e.name] || `The camera cannot be used: ${e.message}`);
  }
}

export function closeCamera(stream) {
  if (stream) for (const t of stream.getTracks()) t.stop();
}

/* Boxes over a picture or video as buttons, so that they can be reached with the keyboard; placed in parts of the whole, so
 * that they fit at any size. faces: [{ box, label, kind }] */
export function showBoxes(layer, faces, width, height, onpick) {
  fill(layer, faces.map((f, i) => h('button', { type: 'button', class: `face-box ${f.kind}`, onclick: () => onpick(i), 'aria-label': `Face ${i + 1}: ${f.label}` },
    h('span', { class: 'face-tag' }, f.label))));
  moveBoxes(layer, faces.map((f) => f.box), width, height);
}

export function moveBoxes(layer, boxes, width, height) {
  const part = (v, of) => `${(100 * v / of).toFixed(3)}%`;
  boxes.forEach((b, i) => {
    const to = { left: part(b.x0, width), top: part(b.y0, height), width: part(b.x1 - b.x0, width), height: part(b.y1 - b.y0, height) };
    for (const [name, value] of Object.entries(to)) layer.children[i].style.setProperty(name, value);
  });
}
