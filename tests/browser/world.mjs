// What the browser test stands on: a server of its own, Chromium with a camera that is a file, and the rules that hold on every page.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const sample = (person, picture) => path.join(root, 'samples', `person-${String(person).padStart(2, '0')}`, `${picture}.jpg`);

export function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(77);
}

export function check(truth, text) {
  if (!truth) throw new Error(text);
}

/* The test's modules are not in the tree: scripts/browser_tools fetches them. */
export function load(name) {
  if (Number.parseInt(process.versions.node, 10) < 20) skip(`Playwright takes Node.js 20 or newer, here is ${process.version}`);
  const places = [process.env.MIEN_NPM, path.join(root, 'build/npm'), path.join(root, '../shared/npm'), '/usr/lib', '/usr/local/lib'].filter(Boolean);
  for (const place of places)
    try {
      return createRequire(path.join(place, 'node_modules', 'x.js'))(name);
    } catch {
      /* the next one */
    }
  return skip(`no ${name} (scripts/browser_tools)`);
}

export function findChromium() {
  const names = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  return names.find((n) => n && fs.existsSync(n)) || skip('no Chromium');
}

export async function startServer(mien) {
  const data = fs.mkdtempSync(path.join(os.tmpdir(), 'mien-browser-'));
  const opener = path.join(data, 'opener'), opened = path.join(data, 'opened');
  fs.writeFileSync(opener, `#!/bin/sh\nprintf %s "$1" > ${opened}.new && mv ${opened}.new ${opened}\n`, { mode: 0o755 });
  const child = spawn(mien, ['serve', '--listen', '127.0.0.1:0', '--data', data, '--open'], { env: { ...process.env, BROWSER: opener } });
  let out = '', err = '';
  child.stdout.on('data', (d) => { out += d; });
  child.stderr.on('data', (d) => { err += d; });
  process.on('exit', () => child.kill());
  process.on('SIGTERM', () => process.exit(143));
  const ended = new Promise((done) => child.on('exit', done));
  for (let i = 0; i < 400 && !(/^\s*mien_\S+$/m.test(out) && fs.existsSync(opened)); i++) {
    if (child.exitCode === 2 && /without/.test(err)) skip('built without the server');
    check(child.exitCode === null, `the server ended: ${err}`);
    await new Promise((done) => setTimeout(done, 50));
  }
  return {
    origin: /listening on (\S+)/.exec(out)[1].replace(/\/$/, ''), key: /^\s*(mien_\S+)$/m.exec(out)[1],
    opened: fs.readFileSync(opened, 'utf8'), /* the address that the browser was given */
    stop: async () => { child.kill(); await ended; fs.rmSync(data, { recursive: true, force: true }); },
  };
}

/* Motion JPEG is JPEG after JPEG: the camera sees one person for ever. */
export function cameraFile(folder, picture) {
  const file = path.join(folder, 'camera.mjpeg');
  fs.writeFileSync(file, Buffer.concat(Array(30).fill(fs.readFileSync(picture))));
  return file;
}

/* No message of the console, no request that leaves the server; refusals that a step expects are said beforehand. */
export class Watch {
  constructor(page, origin) {
    this.faults = [];
    this.expected = [];
    page.on('pageerror', (e) => this.faults.push(`exception: ${e.message}`));
    page.on('console', (m) => { if (m.type() === 'error') this.judge(m); });
    page.on('request', (r) => { if (!r.url().startsWith(`${origin}/`) && !/^(blob|data):/.test(r.url())) this.faults.push(`request to ${r.url()}`); });
  }

  judge(message) {
    const text = message.text(), status = /status of (\d+)/.exec(text);
    if (!status || !this.expected.includes(Number(status[1]))) this.faults.push(`console: ${text} ${message.location().url || ''}`);
  }
}

export async function noSerious(page, axe, name) {
  await page.evaluate(axe.source);
  /* eslint-disable-next-line no-undef */
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
  check(bad.length === 0, `axe on ${name}: ${bad.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => `${n.html} ${n.failureSummary}`).join(' | ')}`).join('\n')}`);
}
