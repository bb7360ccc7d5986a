// The album page: a folder becomes people, who are named, corrected, enrolled, taken home and removed.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/* Trip/PERSON/M.jpg of six people, a picture of five, one without a face, and a file that is no picture. */
function makeFolder(sample, root) {
  const folder = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'mien-album-')), 'Trip');
  for (const person of [1, 3, 4, 5, 6, 7])
    for (const picture of person === 7 ? [1] : [1, 2, 3]) {
      const to = path.join(folder, `person-${person}`, `${picture}.jpg`);
      fs.mkdirSync(path.dirname(to), { recursive: true });
      fs.copyFileSync(sample(person, picture), to);
    }
  fs.copyFileSync(path.join(root, 'samples/group.jpg'), path.join(folder, 'everyone.jpg'));
  fs.copyFileSync(path.join(root, 'samples/no-face/1.jpg'), path.join(folder, 'sea.jpg'));
  fs.writeFileSync(path.join(folder, 'broken.jpg'), 'this is no picture');
  return folder;
}

export async function albumSteps({ page, step, go, button, dialog, choose, look, check, toast, refused, sample, root }) {
  const folder = makeFolder(sample, root);
  const cards = () => page.locator('.group-card');
  const count = async () => cards().count();
  const settled = (n) => page.waitForFunction((k) => document.querySelectorAll('.group-card').length === k, n);
  const nameOf = (i) => cards().nth(i).locator('input');
  const undo = () => button('Undo').first();
  const wall = () => page.getByRole('link', { name: 'Trip' }).first().click().then(() => page.waitForSelector('.group-card'));
  let address = '';

  await step('album: a folder becomes people', async () => {
    await page.evaluate(async () => {
      const { csrf } = await (await fetch('/v1/session')).json();
      await fetch('/v1/collections', { method: 'POST', headers: { 'X-CSRF-Token': csrf, 'Content-Type': 'application/json' }, body: JSON.stringify({ name: 'album-test' }) });
      localStorage.setItem('mien.collection', 'album-test');
    });
    await page.reload();
    await go('album');
    await page.getByText('Drop a folder of pictures').waitFor();
    await look('album-empty');
    await refused(422, async () => {
      await choose(page, folder);
      await cards().first().waitFor();
    });
    await page.waitForFunction(() => !document.querySelector('.progress-card'));
    await page.getByText('1 picture could not be taken').waitFor();
    await page.getByRole('heading', { name: 'Trip' }).waitFor();
    check(await count() >= 5, `${await count()} people`);
    address = page.url();
    await page.waitForFunction(() => [...document.querySelectorAll('.group-card img')].every((i) => i.complete && i.naturalWidth));
    await page.locator('#loose-title').scrollIntoViewIfNeeded();
    await page.locator('.loose-face img').first().waitFor();
    await page.evaluate(() => window.scrollTo(0, 0));
    await look('album');
  });

  await step('album: names, by keyboard from one to the next', async () => {
    await nameOf(0).focus();
    await page.keyboard.type('Nora');
    await page.keyboard.press('Enter');
    await toast('Named Nora');
    check(await page.evaluate(() => document.activeElement.classList.contains('name-field') && document.activeElement.value === ''), 'Enter does not go on to the next name');
    await page.keyboard.type('Omar');
    await page.keyboard.press('Enter');
    await toast('Named Omar');
    await page.getByText('2 named').waitFor();
    await page.reload();
    await cards().first().waitFor();
    check(await page.locator('.name-field').evaluateAll((all) => all.filter((f) => f.value === 'Nora' || f.value === 'Omar').length) === 2, 'the names did not stay');
  });

  await step('album: the same name twice asks whether to merge', async () => {
    const before = await count(), third = cards().nth(2).locator('input');
    await refused(409, async () => {
      await third.fill('Nora');
      await third.press('Enter');
      await dialog().getByRole('heading', { name: 'Is this Nora, too?' }).waitFor();
    });
    await look('album-same-name', { phone: false });
    await button('No', dialog()).click();
    await page.waitForFunction(() => ![...document.querySelectorAll('.group-card')].slice(2).some((c) => c.querySelector('input').value === 'Nora'));
    check(await count() === before, 'refusing merged');
    await refused(409, async () => {
      await third.fill('Nora');
      await third.press('Enter');
      await button('Yes, merge them', dialog()).click();
    });
    await settled(before - 1);
    await undo().click();
    await settled(before);
  });

  await step('album: merge by button and by dragging, undo', async () => {
    const before = await count();
    await cards().nth(3).getByRole('button', { name: /^Merge/ }).click();
    await dialog().locator('.pick', { hasText: 'Nora' }).click();
    await page.waitForFunction(() => [...document.querySelectorAll('dialog img')].every((i) => i.complete));
    await look('album-merge', { phone: false });
    await button('Merge', dialog()).click();
    await settled(before - 1);
    await undo().click();
    await settled(before);
    const from = await cards().nth(2).locator('.group-face').boundingBox(), to = await cards().nth(1).locator('.group-face').boundingBox();
    await page.mouse.move(from.x + 40, from.y + 40);
    await page.mouse.down();
    await page.mouse.move(from.x + 20, from.y + 50, { steps: 4 });
    await page.mouse.move(to.x + 60, to.y + 60, { steps: 8 });
    await page.mouse.move(to.x + 64, to.y + 64);
    await page.mouse.up();
    await settled(before - 1);
    await undo().click();
    await settled(before);
  });

  await step('album: a face is put right', async () => {
    const nora = page.locator('.group-card', { has: page.locator('input[aria-label="Name of Nora"]') });
    await nora.locator('.group-face').click();
    await page.waitForSelector('.face-card');
    const faces = () => page.locator('.face-card').count();
    const n = await faces();
    await page.waitForFunction(() => [...document.querySelectorAll('.face-card img')].every((i) => i.complete && i.naturalWidth));
    await look('album-person');
    await page.getByRole('button', { name: /^Not this person: / }).last().click();
    await page.waitForFunction((k) => document.querySelectorAll('.face-card').length === k, n - 1);
    await undo().click();
    await page.waitForFunction((k) => document.querySelectorAll('.face-card').length === k, n);
    await page.locator('.face-card .tick input').last().check();
    await button('Split off').click();
    await page.waitForFunction((k) => document.querySelectorAll('.face-card').length === k, n - 1);
    await undo().click();
    await page.waitForFunction((k) => document.querySelectorAll('.face-card').length === k, n);
    await page.locator('.face-card .tick input').last().check();
    await button('Move to…').click();
    await dialog().locator('.pick', { hasText: 'Omar' }).click();
    await button('Move', dialog()).click();
    await toast('moved to Omar');
    await undo().click();
    await page.waitForFunction((k) => document.querySelectorAll('.face-card').length === k, n);
    check(await page.locator('.picture-list li').count() >= n - 1, 'the pictures of the person are not listed');
    await button('Copy the list').click();
    check((await page.evaluate(() => navigator.clipboard.readText())).trim().split('\n').length === await page.locator('.picture-list li').count(), 'the copied list');
  });

  await step('album: enrol a group, and be told that it is enrolled already', async () => {
    await button('Enrol in the gallery').click();
    await look('album-enrol');
    await dialog().getByLabel('Name').fill('Nora Album');
    await dialog().getByLabel('Keep the small pictures').setChecked(true);
    await button('Enrol', dialog()).click();
    await toast('Nora Album is enrolled');
    await refused(422, async () => {
      await button('Enrol in the gallery').click();
      await button('Enrol', dialog()).click();
      await dialog().getByText('nothing was enrolled').waitFor();
    });
    await look('album-enrolled-already', { phone: false });
    await button('Cancel', dialog()).click();
    await page.goto(`${new URL(address).origin}/#/people`);
    await page.getByRole('link', { name: /Nora Album/ }).click();
    await page.getByRole('heading', { name: 'Nora Album' }).waitFor();
    await page.locator('.face-card img').first().waitFor();
    await page.goto(address);
    await cards().first().waitFor();
  });

  await step('album: groups take the names of who is enrolled', async () => {
    const nora = page.locator('input[aria-label="Name of Nora"]');
    await nora.fill('');
    await nora.press('Enter');
    await toast('The name was taken away');
    await button('Group again…').click();
    await button('Group', dialog()).click();
    await page.locator('input[aria-label="Name of Nora Album"]').waitFor();
    const named = page.locator('input[aria-label="Name of Nora Album"]');
    await named.fill('Nora');
    await named.press('Enter');
    await nora.waitFor();
    await page.waitForFunction(() => !document.querySelector('.progress-card'));
  });

  await step('album: faces of no group are made one, or given to somebody', async () => {
    const before = await count();
    await page.locator('#loose-title').scrollIntoViewIfNeeded();
    await page.locator('.loose-face input').first().check();
    await look('album-loose', { phone: false });
    await button('One person').click();
    await settled(before + 1);
    check(await page.evaluate(() => document.activeElement.classList.contains('name-field')), 'the new person is not to be named next');
    await undo().click();
    await settled(before);
    await page.locator('.loose-face input').first().check();
    await button('Add to…').click();
    await dialog().locator('.pick', { hasText: 'Omar' }).click();
    await button('Add', dialog()).click();
    await toast('added to Omar');
    await undo().click();
    await toast('Taken back');
  });

  await step('album: search, group again, judged by folders', async () => {
    await page.getByLabel('Search by name').fill('oma');
    await settled(1);
    await page.getByLabel('Search by name').fill('');
    await page.waitForFunction(() => document.querySelectorAll('.group-card').length > 1);
    await button('Group again…').click();
    await dialog().getByLabel('The folders are people').check();
    await look('album-group-again', { phone: false });
    await button('Group', dialog()).click();
    await page.getByRole('heading', { name: 'Compared with the folders' }).waitFor();
    await page.waitForFunction(() => !document.querySelector('.progress-card'));
    check((await page.locator('.facts', { hasText: 'Precision' }).innerText()).includes('100.0 %'), 'the folders are people, and the groups do not match them');
    await look('album-judged', { phone: false });
  });

  await step('album: pictures come later, poor ones stay out', async () => {
    const small = await page.evaluate(async () => {
      const image = document.querySelector('.group-card img');
      const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 160 });
      const ctx = canvas.getContext('2d');
      ctx.fillStyle = '#777';
      ctx.fillRect(0, 0, 160, 160);
      ctx.filter = 'blur(1px)';
      ctx.drawImage(image, 50, 50, 44, 44);
      return canvas.toDataURL('image/jpeg', 0.9).split(',')[1];
    });
    const late = path.join(path.dirname(folder), 'late.jpg');
    fs.writeFileSync(late, Buffer.from(small, 'base64'));
    await page.getByLabel('Add pictures').setInputFiles([late, sample(7, 3)]);
    await page.waitForFunction(() => !document.querySelector('.progress-card'));
    await page.locator('.page-head p', { hasText: '20 pictures' }).waitFor();
  });

  await step('album: hundreds of people are drawn as one comes to them', async () => {
    await page.route('**/album?**', async (route) => {
      const answer = await route.fetch(), body = await answer.json();
      const many = Array.from({ length: 250 }, (_, i) => ({ ...body.groups[i % body.groups.length], id: 1000 + i, name: i % 2 ? `Guest ${i}` : '' }));
      await route.fulfill({ response: answer, json: { ...body, groups: many, n_groups: many.length } });
    });
    await page.reload();
    await cards().first().waitFor();
    check(await count() < 130, `${await count()} cards at once`);
    for (let i = 0; i < 60 && await count() < 250; i++) {
      await page.mouse.wheel(0, 3000);
      await page.waitForTimeout(60);
    }
    check(await count() === 250, `${await count()} of 250 cards after scrolling to the end`);
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.getByLabel('Search by name').fill('guest 249');
    await settled(1);
    await page.unroute('**/album?**');
    await page.reload();
    await cards().first().waitFor();
  });

  await step('album: the result is taken home', async () => {
    const fetch = async (label) => {
      const [file] = await Promise.all([page.waitForEvent('download'), button(label).click()]);
      return { name: file.suggestedFilename(), text: fs.readFileSync(await file.path(), 'utf8') };
    };
    const csv = await fetch('Download as CSV'), json = await fetch('Download as JSON');
    check(csv.name === 'Trip.csv' && csv.text.startsWith('path,face,group,name\r\n') && /person-\d\/1\.jpg,\d+,\d+,Omar/.test(csv.text), csv.text.slice(0, 400));
    const rows = JSON.parse(json.text).faces;
    check(rows.length === csv.text.trim().split('\r\n').length - 1 && rows.some((r) => r.name === 'Nora'), 'CSV and JSON differ');
    check(new Set(rows.map((r) => r.face)).size === rows.length, 'a face is there twice');
  });

  await step('album: kept over a reload, listed, removed', async () => {
    await page.reload();
    await cards().first().waitFor();
    await page.getByText('All of it is removed on').waitFor();
    await go('album');
    await page.getByRole('link', { name: /^Trip/ }).waitFor();
    await look('album-list');
    await wall();
    await button('Remove the album…').click();
    await button('Remove', dialog()).click();
    await page.getByText('Drop a folder of pictures').waitFor();
    check(await page.getByRole('link', { name: /^Trip/ }).count() === 0, 'the removed album is still listed');
    await refused(404, async () => {
      await page.goto(address);
      await page.getByText('This album is gone').waitFor();
    });
  });

  await page.evaluate(() => localStorage.setItem('mien.collection', 'default'));
  fs.rmSync(path.dirname(folder), { recursive: true, force: true });
}
