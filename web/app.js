/* The frame: sign-in, navigation, theme, and which page the address asks for (#/people/12). */
import { session, resume, signIn, signOut, call, chooseCollection, may } from './api.js';
import { h, fill, icon, iconButton, field, failed, announce, empty } from './ui.js';
import { recognisePage } from './recognise.js';
import { comparePage } from './compare.js';
import { peoplePage } from './people.js';
import { personPage } from './person.js';
import { evaluatePage } from './evaluate.js';
import { albumPage } from './album.js';
import { trainPage } from './train.js';
import { settingsPage } from './settings.js';

const app = document.getElementById('app');

const pages = [
  { path: 'recognise', title: 'Recognise', scope: 'recognise', show: recognisePage },
  { path: 'compare', title: 'Compare', scope: 'recognise', show: comparePage },
  { path: 'people', title: 'People', scope: 'read', show: (main, id, ...rest) => (id ? personPage(main, Number(id)) : peoplePage(main, ...rest)) },
  { path: 'album', title: 'Album', scope: 'enrol', show: albumPage },
  { path: 'evaluate', title: 'Evaluate', scope: 'admin', show: evaluatePage },
  { path: 'train', title: 'Train', scope: 'admin', show: trainPage },
  { path: 'settings', title: 'Settings', scope: 'read', show: settingsPage },
];

/* ---- theme ---- */

function turnTheme() {
  const now = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  localStorage.setItem('mien.theme', now);
  document.documentElement.dataset.theme = now;
  announce(`${now} theme`);
}

const brand = () => h('div', { class: 'brand' }, h('img', { src: '/web/icon.svg', alt: '' }), 'mien');

/* ---- sign-in ---- */

function showSignIn() {
  document.title = 'Sign in · mien';
  const key = h('input', { type: 'password', autocomplete: 'current-password', spellcheck: 'false', required: true, placeholder: 'mien_…' });
  const fault = h('p', { class: 'form-fault', role: 'alert' });
  const submit = h('button', { type: 'submit', class: 'button primary' }, 'Sign in');
  const form = h('form', { class: 'form', onsubmit: async (e) => {
    e.preventDefault();
    submit.disabled = true;
    submit.setAttribute('aria-busy', 'true');
    fault.textContent = '';
    try {
      await signIn(key.value.trim());
      await showFrame();
    } catch (problem) {
      fault.textContent = problem.status === 401 ? 'This key is unknown, expired or revoked.' : problem.message;
      key.select();
    }
    submit.disabled = false;
    submit.removeAttribute('aria-busy');
  } }, field('Key', key, 'The server printed its first key when it started. “mien serve key” makes more.'), fault, submit);
  fill(app, h('main', { class: 'sign-in' }, h('div', {}, brand(),
    h('div', { class: 'card' }, h('h1', {}, 'Sign in'), h('p', { class: 'lead' }, 'Face recognition on your own machine.'), form),
    h('p', { class: 'sign-in-foot' }, 'Pictures stay on this server. Nothing is sent anywhere else.'))));
  key.focus();
}

/* ---- frame ---- */

async function collectionField() {
  if (!may('read')) return null;
  const { collections } = await call('GET', '/v1/collections').catch(() => ({ collections: [] }));
  if (!collections.includes(session.collection)) chooseCollection(collections[0] || 'default');
  if (collections.length < 2) return null;
  const select = h('select', { onchange: () => { chooseCollection(select.value); route(); } },
    collections.map((c) => h('option', { value: c }, c)));
  select.value = session.collection;
  return field('Collection', select);
}

async function showFrame() {
  const links = pages.filter((p) => may(p.scope)).map((p) =>
    h('a', { href: `#/${p.path}`, onclick: (e) => { if (e.currentTarget.hash === window.location.hash) route(); } }, icon(p.path), h('span', {}, p.title)));
  fill(app, h('div', { class: 'frame' },
    h('a', { class: 'skip', href: '#main', onclick: (e) => { e.preventDefault(); document.getElementById('main').focus(); } }, 'Skip to the page'),
    h('header', { class: 'side' }, brand(), h('nav', { class: 'nav', 'aria-label': 'Pages' }, links),
      h('div', { class: 'side-foot' }, h('div', { class: 'collection' }, await collectionField()),
        h('div', { class: 'side-tools' }, h('span', { class: 'who', title: session.who.name }, session.who.name),
          iconButton('Light or dark', 'theme', turnTheme), iconButton('Sign out', 'out', signOut)))),
    h('main', { id: 'main', tabindex: '-1' })));
  await route();
}

let leave = null; /* what the page that is shown wants done when it goes */

async function route() {
  if (!session.who) return;
  const [path, ...rest] = window.location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  const page = pages.find((p) => p.path === path) || pages.find((p) => may(p.scope));
  const main = document.getElementById('main');
  if (!main) return; /* the frame is still being made, and looks at the address when it is there */
  for (const d of document.querySelectorAll('dialog[open]')) d.close();
  if (leave) leave();
  leave = null;
  if (!page || !may(page.scope)) {
    fill(main, empty('settings', 'Not with this key', 'The key that you signed in with does not open this page.'));
    return;
  }
  for (const a of document.querySelectorAll('.nav a'))
    if (a.hash === `#/${page.path}`) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  document.title = `${page.title} · mien`;
  main.replaceChildren();
  window.scrollTo(0, 0);
  try {
    leave = (await page.show(main, ...rest)) || null;
  } catch (e) {
    failed(e);
  }
}

/* Another page: whoever listens or uses the keyboard starts at its top. */
window.addEventListener('hashchange', async () => {
  await route();
  const main = document.getElementById('main');
  if (main) main.focus({ preventScroll: true });
});
window.addEventListener('collections-changed', async () => {
  const place = document.querySelector('.collection');
  if (place) fill(place, await collectionField());
});
window.addEventListener('signed-out', () => { if (leave) leave(); leave = null; showSignIn(); });
for (const kind of ['dragover', 'drop']) window.addEventListener(kind, (e) => e.preventDefault());

if (await resume()) await showFrame();
else showSignIn();
