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

/* What is cut out around a face: enough for the detector to find it again. */
const MARGIN = 0.7;

export async function cropFace(source, box, name = 'face.jpg') {
  const image = source instanceof Blob ? await createImageBitmap(source) : source;
  const w = box.x1 - box.x0, t = box.y1 - box.y0, m = MARGIN * Math.max(w, t);
  const x0 = Math.max(0, Math.floor(box.x0 - m)), y0 = Math.max(0, Math.floor(box.y0 - m));
  const x1 = Math.min(image.width, Math.ceil(box.x1 + m)), y1 = Math.min(image.height, Math.ceil(box.y1 + m));
  const canvas = h('canvas', { width: x1 - x0, height: y1 - y0 });
  canvas.getContext('2d').drawImage(image, x0, y0, x1 - x0, y1 - y0, 0, 0, x1 - x0, y1 - y0);
  return new File([await jpeg(canvas, 0.95)], name, { type: 'image/jpeg' });
}

/* A frame of a video, at most `most` pixels wide. */
export async function grab(video, most = 960, quality = 0.88) {
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
  const part = (v, of) => `${(100 * v / of).toFixed(3)}%`;
  fill(layer, faces.map((f, i) => h('button', {
    type: 'button', class: `face-box ${f.kind}`, onclick: () => onpick(i), 'aria-label': `Face ${i + 1}: ${f.label}`,
    style: { left: part(f.box.x0, width), top: part(f.box.y0, height), width: part(f.box.x1 - f.box.x0, width), height: part(f.box.y1 - f.box.y0, height) },
  }, h('span', { class: 'face-tag' }, f.label))));
}
