#!/usr/bin/env node
// The page in a real browser: node tests/browser/run.mjs build/release/mien [FOLDER of the screenshots]
// Signs in, recognises, enrols, compares and removes as a person would, with a camera that is a file of a sample.
import fs from 'node:fs';
import path from 'node:path';
import { evaluateSteps } from './evaluate.mjs';
import { albumSteps } from './album.mjs';
import { trainSteps } from './train.mjs';
import { cameraFile, check, findChromium, load, noSerious, root, sample, startServer, Watch } from './world.mjs';

const mien = path.resolve(process.argv[2] || 'build/release/mien');
const folder = path.resolve(process.argv[3] || 'build/browser');
const { chromium } = load('playwright-core');
const axe = load('axe-core');
const executablePath = findChromium();
const evil = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'"&`;

fs.mkdirSync(folder, { recursive: true });
const server = await startServer(mien);
const browser = await chromium.launch({ executablePath, args: [...(process.getuid() === 0 ? ['--no-sandbox'] : []), '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
  `--use-file-for-fake-video-capture=${cameraFile(folder, sample(2, 2))}`] });
const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, permissions: ['camera', 'clipboard-read', 'clipboard-write'], acceptDownloads: true });
const page = await context.newPage();
page.setDefaultTimeout(30000);
const watch = new Watch(page, server.origin);
let steps = 0;

async function step(name, run) {
  try {
    await run();
    await page.waitForTimeout(50);
    check(watch.faults.length === 0, watch.faults.join('\n'));
    console.log(`ok ${++steps} ${name}`);
  } catch (e) {
    await page.screenshot({ path: path.join(folder, 'failed.png') }).catch(() => {});
    throw new Error(`${name}: ${e.message}`);
  }
}

/* An answer of 4xx that a step provokes is written to the console by the browser itself. */
async function refused(status, run) {
  watch.expected.push(status);
  await run();
  await page.waitForTimeout(100);
  watch.expected.pop();
}

const theme = (name) => page.evaluate((n) => { document.documentElement.dataset.theme = n; }, name);
async function look(name, { phone = true } = {}) {
  await page.evaluate(() => document.getElementById('toasts').replaceChildren());
  for (const [kind, mode, width] of [['light', 'light', 1360], ['dark', 'dark', 1360], ...(phone ? [['phone', 'light', 390]] : [])]) {
    await theme(mode);
    await page.setViewportSize({ width, height: width < 500 ? 844 : 860 });
    await page.waitForTimeout(250);
    await page.screenshot({ path: path.join(folder, `${name}-${kind}.png`) });
    const wide = await page.evaluate(() => Math.max(document.documentElement.scrollWidth - window.innerWidth,
      ...[...document.querySelectorAll('.dialog-body')].map((b) => b.scrollWidth - b.clientWidth)));
    check(wide <= 1, `${name} at ${width} px is ${wide} px too wide`);
    await noSerious(page, axe, `${name}, ${kind}`);
  }
  await theme('light');
  await page.setViewportSize({ width: 1360, height: 860 });
}

const go = async (hash) => { await page.goto(`${server.origin}/#/${hash}`); await page.waitForSelector('main h1'); };
const button = (name, within = page) => within.getByRole('button', { name, exact: true });
const dialog = () => page.locator('dialog[open]').last();
const choose = (where, files) => where.locator('input[type=file]').first().setInputFiles(files);
const toast = (text) => page.locator('.toast', { hasText: text }).first().waitFor();

async function enrol(name, files, { keep = true, look: name2 } = {}) {
  await go('people');
  await button('Enrol a person').first().click();
  await dialog().getByLabel('Name').fill(name);
  await choose(dialog(), files);
  await page.waitForFunction((n) => document.querySelectorAll('dialog .shot .badge.yes').length === n, files.length);
  if (name2) await look(name2);
  await dialog().getByLabel('Keep the pictures').setChecked(keep);
  await button(files.length > 1 ? `Enrol ${files.length} pictures` : 'Enrol', dialog()).click();
  await toast('enrolled');
}

try {
  await step('sign in', async () => {
    await page.goto(server.origin);
    await look('sign-in');
    await refused(401, async () => {
      await page.getByLabel('Key').fill('mien_1_wrong');
      await button('Sign in').click();
      await page.getByText('This key is unknown').waitFor();
    });
    await page.getByLabel('Key').fill(server.key);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Recognise' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Recognise' }).waitFor();
  });

  await step('the browser that the server opened is signed in', async () => {
    const own = await browser.newContext(), opened = await own.newPage();
    await opened.goto(server.opened);
    await opened.getByRole('heading', { name: 'Recognise' }).waitFor();
    check(!opened.url().includes('enter'), `the code stays in the address: ${opened.url()}`);
    await opened.reload();
    await opened.getByRole('heading', { name: 'Recognise' }).waitFor();
    await own.close();
  });

  await step('empty pages invite', async () => {
    await look('recognise-empty');
    await go('people');
    await page.getByText('Nobody is enrolled yet').waitFor();
    await look('people-empty');
  });

  await step('enrol with quality shown', async () => {
    await enrol('Ada Moreau', [1, 2, 3].map((i) => sample(1, i)), { look: 'enrol' });
    await enrol('Grace Lindqvist', [sample(3, 1), sample(3, 2)]);
    await enrol('Yusuf Demir', [sample(4, 1), sample(4, 2)]);
  });

  await step('what cannot be enrolled says why', async () => {
    await go('people');
    await button('Enrol a person').click();
    await dialog().getByLabel('Name').fill('Nobody');
    await choose(dialog(), [path.join(root, 'samples/no-face/1.jpg')]);
    await dialog().getByText('no face found').waitFor();
    check(await button('Enrol', dialog()).isDisabled(), 'a picture without a face can be enrolled');
    await page.keyboard.press('Escape');
    await button('Enrol a person').click();
    await dialog().getByLabel('Name').fill('Somebody else');
    await choose(dialog(), [sample(1, 4)]);
    await page.waitForSelector('dialog .shot-text .quality');
    await refused(422, async () => {
      await button('Enrol', dialog()).click();
      await dialog().getByText('nothing was enrolled').waitFor();
    });
    await page.keyboard.press('Escape');
  });

  await step('recognise a group, unknown stays unknown', async () => {
    await go('recognise');
    await choose(page, [path.join(root, 'samples/group.jpg'), sample(1, 4), path.join(root, 'samples/no-face/2.jpg')]);
    await page.locator('.face-row').nth(4).waitFor();
    check(await page.locator('.face-row', { hasText: 'Grace Lindqvist' }).count() === 1, 'Grace is not named in the group');
    check(await page.locator('.face-row', { hasText: 'not enrolled' }).count() === 3, 'three of the group are unknown');
    check(await page.locator('.face-box').count() === 5, 'five boxes');
    await page.waitForFunction(() => document.querySelectorAll('.thumb .badge').length === 3 && ![...document.querySelectorAll('.thumb .badge')].some((b) => b.textContent === '…'));
    await look('recognise');
    await page.getByRole('button', { name: /^Picture 2/ }).click();
    await page.locator('.face-row', { hasText: 'Ada Moreau' }).waitFor();
    await page.getByRole('button', { name: /^Picture 3/ }).click();
    await page.getByText('No face was found').waitFor();
  });

  await step('click an unknown face and enrol it', async () => {
    await page.getByRole('button', { name: /^Picture 1/ }).click();
    await page.locator('.face-box.unknown').first().click();
    await dialog().locator('.shot .badge.yes').waitFor();
    await dialog().getByLabel('Name').fill('Noor Haddad');
    await button('Enrol', dialog()).click();
    await page.locator('.face-row', { hasText: 'Noor Haddad' }).waitFor();
  });

  await step('drop pictures', async () => {
    await go('compare');
    await go('recognise');
    const data = fs.readFileSync(sample(1, 4)).toString('base64');
    const files = await page.evaluateHandle((b64) => {
      const all = new DataTransfer();
      all.items.add(new File([Uint8Array.from(atob(b64), (c) => c.charCodeAt(0))], 'dropped.jpg', { type: 'image/jpeg' }));
      return all;
    }, data);
    for (const kind of ['dragenter', 'dragover', 'drop']) await page.dispatchEvent('.drop', kind, { dataTransfer: files });
    await page.locator('.face-row', { hasText: 'Ada Moreau' }).waitFor();
  });

  await step('paste a picture', async () => {
    await go('compare');
    await go('recognise');
    const data = fs.readFileSync(sample(1, 4)).toString('base64');
    await page.evaluate((b64) => {
      const files = new DataTransfer();
      files.items.add(new File([Uint8Array.from(atob(b64), (c) => c.charCodeAt(0))], 'pasted.jpg', { type: 'image/jpeg' }));
      document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: files, bubbles: true }));
    }, data);
    await page.locator('.face-row', { hasText: 'Ada Moreau' }).waitFor();
    check(await page.locator('.face-row').count() === 1, 'one paste, one face');
  });

  await step('the camera: unknown, enrolled from it, then known', async () => {
    await go('compare');
    await go('recognise');
    await button('Use the camera').click();
    await page.locator('.face-box.unknown').waitFor();
    await page.locator('.face-row').getByRole('button', { name: 'Enrol as…' }).click();
    await dialog().locator('.shot .badge').waitFor();
    await dialog().getByLabel('Name').fill('Camera Person');
    await page.waitForSelector('dialog .shot-text .quality');
    await button('Enrol', dialog()).click();
    await toast('enrolled');
    await page.locator('.face-box.known').waitFor();
    await look('camera', { phone: false });
    await button('Stop the camera').click();
    await page.getByText('Drop pictures here').waitFor();
  });

  await step('enrol with the camera', async () => {
    await go('people');
    await page.getByRole('link', { name: /Camera Person/ }).click();
    await button('Add pictures').click();
    await button('Camera', dialog()).click();
    await dialog().locator('.finder-bar .badge').waitFor();
    await button('Take the picture', dialog()).click();
    await dialog().locator('.shot').first().waitFor();
    await look('enrol-camera');
    await page.keyboard.press('Escape');
  });

  await step('compare', async () => {
    await go('compare');
    await look('compare-empty');
    await choose(page.locator('.side-picture').nth(0), [sample(1, 1), sample(1, 3)]);
    await page.getByRole('heading', { name: 'The same person' }).waitFor();
    check(await page.locator('.crops img').count() === 2, 'two crops');
    await look('compare');
    await choose(page.locator('.side-picture').nth(1), [sample(3, 1)]);
    await page.getByRole('heading', { name: 'Different people' }).waitFor();
    await refused(422, async () => {
      await choose(page.locator('.side-picture').nth(1), [path.join(root, 'samples/no-face/1.jpg')]);
      await page.getByText('No face was found in the second picture').waitFor();
    });
  });

  await step('people: search by name and by face', async () => {
    await go('people');
    await page.locator('.person img').first().waitFor();
    await look('people');
    await page.getByLabel('Search by name').fill('yus');
    await page.waitForFunction(() => document.querySelectorAll('.person').length === 1);
    await button('Search by face').click();
    await choose(dialog(), [sample(3, 3)]);
    await dialog().getByRole('link', { name: 'Grace Lindqvist' }).waitFor();
    await look('search-by-face', { phone: false });
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: 'People' }).click();
    await page.locator('.person').nth(3).waitFor();
  });

  await step('rename, note, consent, undo', async () => {
    await go('people');
    await page.getByRole('link', { name: /Ada Moreau/ }).click();
    await page.getByRole('heading', { name: 'Ada Moreau' }).waitFor();
    await page.locator('.face-card img').first().waitFor();
    await look('person');
    await button('Edit').click();
    await dialog().getByLabel('Name').fill('Ada Lovelace');
    await dialog().getByLabel('Note').fill('Second floor');
    await dialog().getByLabel('Purpose').fill('Entrance');
    await dialog().getByLabel('Expires').fill('2099-12-31');
    await look('edit', { phone: false });
    await button('Save', dialog()).click();
    await page.getByRole('heading', { name: 'Ada Lovelace' }).waitFor();
    await page.getByText('Dec 31, 2099').waitFor();
    await page.locator('.facts', { hasText: 'Second floor' }).waitFor();
  });

  await step('split, undo, merge', async () => {
    await page.getByLabel('Choose face 2').check();
    await button('Split…').click();
    await dialog().getByLabel('Name of the new person').fill('Ada Two');
    await button('Split', dialog()).click();
    await toast('Ada Two');
    await page.getByText('2 faces').first().waitFor();
    await button('Undo').first().click();
    await page.getByText('3 faces').first().waitFor();
    await go('people');
    await page.getByRole('link', { name: /Noor Haddad/ }).click();
    await button('Merge…').click();
    await dialog().getByRole('button', { name: /Yusuf Demir/ }).click();
    await look('merge', { phone: false });
    await button('Merge', dialog()).click();
    await toast('is now part of');
    await page.getByText('3 faces').first().waitFor();
    await go('people');
    check(await page.getByRole('link', { name: /Yusuf/ }).count() === 0, 'the merged person is still listed');
  });

  await step('names are text', async () => {
    await enrol(evil, [sample(9, 1)]);
    await go('people');
    await page.locator('.person', { hasText: '<img src=x' }).click();
    await page.locator('h1', { hasText: 'onerror=' }).waitFor();
    await button('Edit').click();
    check(await dialog().getByLabel('Name').inputValue() === evil, 'the name came back changed');
    await page.keyboard.press('Escape');
    await go('recognise');
    await choose(page, [sample(9, 2)]);
    await page.locator('.face-row', { hasText: '<script>' }).waitFor();
    check(await page.evaluate(() => window.pwned) === undefined, 'a name ran as a script');
  });

  await step('remove with a receipt that can be kept', async () => {
    await go('people');
    await page.getByRole('link', { name: /Grace Lindqvist/ }).click();
    await button('Remove this person…').click();
    await button('Remove', dialog()).click();
    await page.getByRole('heading', { name: 'Receipt of removal' }).waitFor();
    await dialog().getByText('verified', { exact: true }).waitFor();
    await look('receipt');
    const [file] = await Promise.all([page.waitForEvent('download'), button('Download', dialog()).click()]);
    const receipt = JSON.parse(fs.readFileSync(await file.path(), 'utf8'));
    check(receipt.verified === true && receipt.templates > 0, JSON.stringify(receipt));
    await page.keyboard.press('Escape');
    check(await page.getByRole('link', { name: /Grace/ }).count() === 0, 'the removed person is still listed');
  });

  await step('a key sees what it may', async () => {
    const made = await page.evaluate(async () => {
      const { csrf } = await (await fetch('/v1/session')).json();
      const headers = { 'X-CSRF-Token': csrf, 'Content-Type': 'application/json' };
      return (await fetch('/v1/keys', { method: 'POST', headers, body: JSON.stringify({ name: 'door', scopes: 'recognise' }) })).json();
    });
    const door = await (await browser.newContext()).newPage();
    const doorWatch = new Watch(door, server.origin);
    await door.goto(`${server.origin}/#/people`);
    await door.getByLabel('Key').fill(made.token);
    await door.keyboard.press('Enter');
    await door.getByText('Not with this key').waitFor();
    check(await door.locator('.nav a').count() === 2, 'a key that recognises sees more than two pages');
    await door.goto(`${server.origin}/#/recognise`);
    await choose(door, [path.join(root, 'samples/group.jpg')]);
    await door.locator('.face-row').nth(4).waitFor();
    check(await door.getByRole('button', { name: 'Enrol as…' }).count() === 0, 'a key that recognises is offered to enrol');
    await door.goto(`${server.origin}/#/compare`);
    await choose(door.locator('.side-picture').first(), [sample(1, 1), sample(1, 2)]);
    await door.getByRole('heading', { name: 'The same person' }).waitFor();
    check(doorWatch.faults.length === 0, doorWatch.faults.join('\n'));
    await door.context().close();
  });

  await step('settings', async () => {
    await go('settings/models');
    await page.getByText('Licence').first().waitFor();
    await look('models');
    await go('settings/keys');
    await button('Make a key').click();
    await dialog().getByLabel('Name', { exact: true }).fill('Entrance tablet');
    await look('key', { phone: false });
    await button('Make the key', dialog()).click();
    check(/^mien_/.test(await dialog().locator('code').innerText()), 'no token');
    await button('Done', dialog()).click();
    await page.getByRole('button', { name: 'Revoke Entrance tablet' }).waitFor();
    await look('keys');
    await page.getByRole('button', { name: 'Revoke Entrance tablet' }).click();
    await button('Revoke', dialog()).click();
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 2);
    await go('settings/collections');
    await button('Make a collection').click();
    await dialog().getByLabel('Name').fill('guests');
    await button('Make it', dialog()).click();
    await page.getByRole('heading', { name: 'guests' }).waitFor();
    await page.getByLabel('Collection', { exact: true }).waitFor();
    await look('collections');
    await go('settings/audit');
    await page.getByText('remove', { exact: true }).first().waitFor();
    await look('audit');
    await go('settings/system');
    await page.getByText('live', { exact: true }).waitFor();
    await look('system');
  });

  await step('events arrive while one looks', async () => {
    const other = await context.newPage();
    await other.goto(`${server.origin}/#/recognise`);
    await other.locator('input[type=file]').first().setInputFiles([sample(1, 4)]);
    await page.locator('.event', { hasText: 'Recognised' }).waitFor();
    await other.close();
  });

  const tools = { page, step, go, button, dialog, choose, look, check, toast, refused, sample, root };
  await albumSteps(tools);
  await evaluateSteps(tools);
  await trainSteps(tools);

  await step('the keyboard is enough', async () => {
    await go('recognise');
    await page.reload();
    await page.waitForSelector('main h1');
    await page.keyboard.press('Tab');
    check(await page.evaluate(() => document.activeElement.textContent) === 'Skip to the page', 'the first stop is not the skip link');
    await page.keyboard.press('Enter');
    check(await page.evaluate(() => document.activeElement.id) === 'main', 'the skip link does not skip');
    await page.keyboard.press('Tab');
    check(await page.evaluate(() => document.activeElement.textContent) === 'Choose pictures', 'the page is not next');
  });

  await step('the theme is turned and remembered', async () => {
    const before = await page.evaluate(() => document.documentElement.dataset.theme);
    await button('Light or dark').click();
    await page.reload();
    const after = await page.evaluate(() => document.documentElement.dataset.theme);
    check(before !== after, 'the theme did not stay');
  });

  await step('sign out', async () => {
    await button('Sign out').click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.goto(`${server.origin}/#/people`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });

  console.log(`${steps} steps passed; screenshots in ${folder}`);
} catch (e) {
  console.error(`FAILED ${e.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  await server.stop();
}
