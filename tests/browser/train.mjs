// The page Train as a person uses it: a folder of people sent and counted, examples, a run to its verdict, another stopped, runs removed.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/* A folder of twelve people, and two files that are no pictures. */
function folderOfPeople(sample) {
  const folder = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'mien-train-')), 'Front desk');
  for (let person = 1; person <= 12; person++) {
    const to = path.join(folder, `Person <b>${person}`);
    fs.mkdirSync(to, { recursive: true });
    for (let k = 1; k <= 4; k++) fs.copyFileSync(sample(person, k), path.join(to, `${k}.jpg`));
  }
  fs.writeFileSync(path.join(folder, 'Person <b>1', 'broken.jpg'), 'no picture');
  fs.writeFileSync(path.join(folder, 'notes.txt'), 'no picture');
  return folder;
}

export async function trainSteps({ page, step, go, button, dialog, choose, look, check, toast, refused, sample }) {
  const folder = folderOfPeople(sample);
  const start = button('Start training');
  try {
    await step('train: a folder of people is sent and counted', async () => {
      await go('train');
      await page.getByText('Drop a folder of people').waitFor();
      await look('train-empty');
      check(await start.isDisabled(), 'a run can be started on nothing');
      await refused(422, async () => {
        await choose(page.locator('.drop'), folder);
        await page.locator('.judged', { hasText: '6 of 12 people would be held out' }).waitFor();
      });
      await page.getByText('1 picture could not be taken').click();
      await page.getByText('Person <b>1/broken.jpg').waitFor();
      check(await page.locator('.material b').allInnerTexts().then((t) => t.join()) === '12,48,12,6', 'the people are not counted right');
    });

    await step('train: details and examples', async () => {
      await page.getByText('Details').click();
      await page.getByLabel('How pictures are varied').selectOption({ label: 'Distant, small faces' });
      await button('Show examples').click();
      await dialog().locator('img.sheet').waitFor();
      await page.waitForFunction(() => document.querySelector('img.sheet').naturalWidth > 500);
      await look('train-examples', { phone: false });
      await page.keyboard.press('Escape');
      await look('train-start');
    });

    await step('train: a run to its verdict', async () => {
      await page.getByLabel('Passes over the pictures').fill('6');
      await page.getByLabel('What is trained').selectOption('head');
      await start.click();
      await page.getByRole('heading', { name: 'Training run' }).waitFor();
      await page.getByRole('heading', { name: /^Not shown to be better|^Better on people/ }).waitFor({ timeout: 90000 });
      await page.getByRole('row', { name: /1 stranger in 100 let through/ }).waitFor();
      await page.getByText('How to use the tuned model').click();
      await look('train-done');
      for (const [label, name] of [['Download the model', 'model.mien'], ['Download the report', 'report.html']]) {
        const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: label }).click()]);
        check(file.suggestedFilename() === name && fs.statSync(await file.path()).size > 10000, `${name} did not come`);
      }
    });

    await step('train: a run is watched and stopped', async () => {
      await page.getByRole('link', { name: 'Train again' }).click();
      await page.getByRole('button', { name: /^Front desk/ }).click();
      await page.locator('.judged', { hasText: '6 of 12 people would be held out' }).waitFor();
      await page.getByText('Details').click();
      await page.getByLabel('Passes over the pictures').fill('400');
      await page.getByLabel('Pictures a step').fill('4');
      await start.click();
      await page.getByRole('heading', { name: 'Training', exact: true }).waitFor({ timeout: 60000 });
      await page.getByText(/^Pass ([4-9]|\d\d+) of 400/).waitFor({ timeout: 90000 });
      await look('train-run');
      await page.reload();
      await page.getByText(/^Pass \d+ of 400/).waitFor();
      await button('Stop training').click();
      await page.getByRole('heading', { name: 'The run was stopped' }).waitFor({ timeout: 30000 });
      check(await page.locator('.curves svg').count() > 0, 'the curves of a stopped run are gone');
      await look('train-stopped', { phone: false });
    });

    await step('train: people of the collection, and too few of them', async () => {
      await page.getByRole('link', { name: 'Train again' }).click();
      await page.getByLabel('People of this collection').check();
      await page.locator('.judged', { hasText: 'Training takes at least 4 people' }).waitFor();
      check(await start.isDisabled(), 'a run can be started on too few');
      await look('train-collection', { phone: false });
    });

    await step('train: runs and pictures are removed', async () => {
      const rows = page.locator('tbody tr');
      check(await rows.count() === 2, 'not all runs are listed');
      await rows.filter({ hasText: /not shown better|better/ }).first().waitFor();
      await rows.filter({ hasText: 'stopped' }).waitFor();
      await page.getByRole('button', { name: /^Remove the run/ }).first().click();
      await button('Remove', dialog()).click();
      await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
      await page.getByLabel('A folder of people').check();
      await page.getByRole('button', { name: /^Front desk/ }).click();
      await button('Remove these pictures').click();
      await toast('The pictures were removed');
      await page.getByText('Drop a folder of people').waitFor();
      check(await page.getByRole('button', { name: /^Front desk/ }).count() === 0, 'the set is still offered');
    });
  } finally {
    fs.rmSync(path.dirname(folder), { recursive: true, force: true });
  }
}
