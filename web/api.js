/* Calls of /v1. A fault becomes an ApiError with the server's own words; a busy server (429) is asked again
 * after the time that it names. */

export class ApiError extends Error {
  constructor(status, code, message, details) {
    super(message);
    Object.assign(this, { status, code, details: details || {} });
  }
}

export const session = { who: null, collection: 'default' };

const known = 'mien.session'; /* whether asking for a session is worth a request */
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

function address(path, query) {
  const all = new URLSearchParams();
  for (const [name, value] of Object.entries(query || {}))
    if (value !== undefined && value !== null && value !== '') all.set(name, value);
  const text = all.toString();
  return text ? `${path}?${text}` : path;
}

async function fault(answer) {
  try {
    const { error } = await answer.json();
    return new ApiError(answer.status, error.code, error.message, error.details);
  } catch {
    return new ApiError(answer.status, 'NO_ANSWER', `The server answered ${answer.status} without saying why.`);
  }
}

async function once(method, path, { query, json, form, signal } = {}) {
  const headers = {};
  if (method !== 'GET' && session.who) headers['X-CSRF-Token'] = session.who.csrf;
  if (json) headers['Content-Type'] = 'application/json';
  try {
    return await fetch(address(path, query), { method, headers, signal, body: json ? JSON.stringify(json) : form });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new ApiError(0, 'NO_SERVER', 'The server does not answer. Is it still running?');
  }
}

export async function call(method, path, options = {}) {
  for (let tries = 0; ; tries++) {
    const answer = await once(method, path, options);
    if (answer.status === 429 && tries < 5) {
      await wait(1000 * Math.min(10, Number(answer.headers.get('Retry-After')) || 1));
      continue;
    }
    if (!answer.ok) {
      const e = await fault(answer);
      if (e.status === 401 && session.who) forget();
      throw e;
    }
    if (answer.status === 204) return null;
    if (options.blob) return answer.blob();
    return (answer.headers.get('Content-Type') || '').startsWith('application/json') ? answer.json() : answer.text();
  }
}

/* Calls that belong to the chosen collection. */
export const within = (method, path, options = {}) =>
  call(method, path, { ...options, query: { collection: session.collection, ...options.query } });

export const imageAddress = (face) => address(`/v1/faces/${face}/image`, { collection: session.collection });

export function form(fields) {
  const all = new FormData();
  for (const [name, value] of Object.entries(fields))
    if (value instanceof Blob) all.append(name, value, value.name || 'picture.jpg');
    else if (value !== undefined && value !== null && value !== '') all.append(name, String(value));
  return all;
}

/* ---- the session ---- */

function forget() {
  session.who = null;
  localStorage.removeItem(known);
  window.dispatchEvent(new Event('signed-out'));
}

function begin(who) {
  session.who = who;
  session.collection = who.collection || localStorage.getItem('mien.collection') || 'default';
  localStorage.setItem(known, '1');
  return who;
}

/* The address with which the server opened the page signs it in: the code is good once, and does not stay in the address. */
async function enter() {
  const code = /^#enter=([\w-]+)$/.exec(window.location.hash);
  if (!code) return null;
  window.history.replaceState(null, '', '/');
  return call('POST', '/v1/session', { json: { enter: code[1] } }).then(begin).catch(() => null);
}

export async function resume() {
  const entered = await enter();
  if (entered) return entered;
  if (!localStorage.getItem(known)) return null;
  try {
    return begin(await call('GET', '/v1/session'));
  } catch (e) {
    if (e.status === 401) localStorage.removeItem(known);
    return null;
  }
}

export const signIn = async (key) => begin(await call('POST', '/v1/session', { json: { key } }));

export async function signOut() {
  await call('DELETE', '/v1/session').catch(() => {});
  forget();
}

export function chooseCollection(name) {
  session.collection = name;
  localStorage.setItem('mien.collection', name);
}

/* A key that administers may do everything. */
export function may(scope) {
  const scopes = (session.who ? session.who.scopes : '').split(/[ ,]+/);
  return scopes.includes(scope) || scopes.includes('admin');
}
