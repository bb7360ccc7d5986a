// Evaluate and calibrate: people in folders, one label at fault among them; figures, curves, errors; thresholds applied and taken back.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/* Twelve people with four pictures; one of the first lies with the second, and one shows nobody. */
function makePeople({ sample, root }) {
  const folder = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'mien-people-')), 'Colleagues');
  for (let p = 1; p <= 12; p++) {
    const to = path.join(folder, `Person ${String(p).padStart(2, '0')}`);
    fs.mkdirSync(to, { recursive: true });
    for (let k = 1; k <= 4; k++) fs.copyFileSync(sample(p === 2 && k === 4 ? 1 : p, k), path.join(to, `${k}.jpg`));
  }
  fs.copyFileSync(path.join(root, 'samples/no-face/1.jpg'), path.join(folder, 'Person 01/none.jpg'));
  fs.writeFileSync(path.join(folder, 'notes.txt'), 'no picture');
  return folder;
}

export async function evaluateSteps({ page, step, go, button, dialog, look, check, toast, refused, sample, root }) {
  const folder = makePeople({ sample, root });
  const measure = async (kind) => {
    await page.getByRole('radio', { name: kind }).check();
    await button('Measure').click();
  };

  await step('evaluate: nothing measured yet', async () => {
    await go('evaluate');
    await page.getByRole('heading', { name: /^Thresholds of/ }).waitFor();
    await look('evaluate-empty');
  });

  await step('evaluate: a folder of people against each other', async () => {
    await page.getByLabel('Choose a folder').setInputFiles(folder);
    await page.getByText('12 people, 49 pictures').waitFor();
    await look('evaluate-choice');
    await page.getByLabel('Show the faces of the worst errors in the report').check();
    await measure(/^Two pictures/);
    await page.getByRole('heading', { name: 'Two pictures: the same person?' }).waitFor();
    check(await page.locator('.figure').count() === 4, 'four figures');
    check(/5 of 1,100 pairs of strangers passed for one person/.test(await page.locator('section', { hasText: 'In words' }).first().innerText()), 'the figures are not said in words');
    await page.getByRole('heading', { name: 'Strangers taken for one person' }).waitFor();
    check((await page.locator('.error').first().innerText()).includes('Person 02/4.jpg'), 'the label at fault is not the worst error');
    await page.waitForFunction(() => [...document.querySelectorAll('.error img')].slice(0, 4).every((i) => i.complete && i.naturalWidth > 0));
    check(await page.locator('.plot svg path.plot-line').count() >= 4, 'the curves are not drawn');
    await look('evaluate-pairs');
    await page.locator('.errors').first().scrollIntoViewIfNeeded();
    await look('evaluate-errors');
    await page.getByText('1 picture in which no face was found').click();
    await page.getByText('Person 01/none.jpg', { exact: true }).waitFor();
  });

  await step('evaluate: a curve is read with the keys, and as a table', async () => {
    const plot = page.getByRole('group', { name: /^Scores/ });
    await plot.focus();
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowLeft');
    check(/similarity 0\.\d+/.test(await page.locator('.plot-tip:not([hidden])').innerText()), 'the keys read no point');
    await page.keyboard.press('Escape');
    check(await page.locator('.plot-tip:not([hidden])').count() === 0, 'Escape does not end the reading');
    await page.locator('.plot', { hasText: 'DET' }).getByText('As a table').click();
    await page.locator('.plot-table[open] tbody tr').nth(5).waitFor();
  });

  await step('evaluate: the report is a file of its own', async () => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Report' }).click()]);
    const text = fs.readFileSync(await file.path(), 'utf8');
    check(text.includes('data:image/jpeg;base64,') && !text.includes('<script'), 'the report has no pictures, or a script');
  });

  await step('evaluate: the same people searched', async () => {
    await button('Measure searches').click();
    await page.getByRole('heading', { name: 'Who is it?' }).waitFor();
    await page.getByRole('heading', { name: 'Strangers who were named' }).waitFor();
    check((await page.locator('.error').first().innerText()).includes('Person 02/4.jpg'), 'the label at fault is not found by searching');
    await page.waitForFunction(() => [...document.querySelectorAll('.error img')].every((i) => i.complete && i.naturalWidth > 0));
    await look('evaluate-searches');
  });

  await step('evaluate: thresholds fitted, applied, taken back', async () => {
    await button('Fit the thresholds').click();
    await page.getByRole('heading', { name: 'Thresholds fitted to these people' }).waitFor();
    await page.getByRole('heading', { name: 'Few people' }).waitFor();
    await look('calibrate');
    await page.getByRole('button', { name: /^Apply to/ }).click();
    await toast('goes by this calibration now');
    await page.getByText('in force now').waitFor();
    await look('calibrate-applied', { phone: false });
    await go('compare');
    await page.locator('.side-picture').nth(0).locator('input[type=file]').first().setInputFiles([sample(1, 1), sample(1, 3)]);
    await page.getByRole('heading', { name: 'The same person' }).waitFor();
    check(await page.locator('.ridge-shape').count() >= 1, 'nothing lies behind the ruler');
    await look('compare-ruler');
    await go('evaluate');
    await page.getByText('fitted to your people').waitFor();
    await button('Back to the model’s own…').click();
    await button('Go back', dialog()).click();
    await page.getByText('the model’s own', { exact: true }).waitFor();
  });

  await step('evaluate: scores of another matcher, and what cannot be used', async () => {
    await go('evaluate');
    const csv = `score,mated\n${Array.from({ length: 60 }, (_, i) => `${(i / 60).toFixed(3)},${i > 28 || i === 11 ? 1 : 0}`).join('\n')}\n`;
    await page.getByLabel('Scores of any matcher…').setInputFiles({ name: 'theirs.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) });
    await page.getByRole('heading', { name: 'Scores', exact: true }).waitFor();
    await page.getByText('chosen on these very pairs').waitFor();
    await look('evaluate-scores', { phone: false });
    await go('evaluate');
    await page.getByLabel('Scores of any matcher…').setInputFiles({ name: 'bad.csv', mimeType: 'text/csv', buffer: Buffer.from('colour,size\nred,2\n') });
    await page.getByText('It could not be measured').waitFor();
    await page.getByText('names no column of scores').waitFor();
    await page.getByRole('link', { name: 'Back to Evaluate' }).click();
    await page.getByLabel('Choose a folder').setInputFiles(path.join(folder, 'Person 03'));
    await toast('no two people');
  });

  await step('evaluate: pairs of a list, from people sent before', async () => {
    await page.reload();
    await page.getByRole('button', { name: 'Colleagues, 12 people' }).click();
    await page.getByLabel('Only the pairs of a list…').setInputFiles({ name: 'list.csv', mimeType: 'text/csv', buffer: Buffer.from('a,b\nPerson 03/1.jpg,Person 03/2.jpg\nPerson 03/1.jpg,Person 04/1.jpg\nPerson 05/1.jpg,nobody/1.jpg\n') });
    await page.getByText('list.csv').waitFor();
    await button('Measure').click();
    await page.getByRole('heading', { name: 'Two pictures: the same person?' }).waitFor();
    await page.getByText('1 row of the file passed over').click();
    await page.getByText('nobody/1.jpg is no picture of the set').waitFor();
  });

  await step('evaluate: pairs in the format of LFW', async () => {
    const lfw = path.join(path.dirname(folder), 'lfw');
    for (const [name, p] of [['Ann_Lee', 3], ['Bo_Day', 4]]) {
      fs.mkdirSync(path.join(lfw, name), { recursive: true });
      for (let k = 1; k <= 3; k++) fs.copyFileSync(sample(p, k), path.join(lfw, name, `${name}_000${k}.jpg`));
    }
    await go('evaluate');
    await page.getByLabel('Choose a folder').setInputFiles(lfw);
    await page.getByText('2 people, 6 pictures').waitFor();
    const choose = (text) => page.getByLabel('Only the pairs of a list…').setInputFiles({ name: 'pairs.txt', mimeType: 'text/plain', buffer: Buffer.from(text) });
    await choose('2\t1\nAnn_Lee\t1\n');
    await toast('neither NAME I J nor NAME I OTHER J');
    await choose('2\t1\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBo_Day\t1\nBo_Day\t1\t3\nBo_Day\t2\tAnn_Lee\t3\n');
    await page.locator('.file-name', { hasText: 'pairs.txt' }).waitFor();
    await button('Measure').click();
    await page.getByText('decided rightly, over 2 folds').waitFor();
    await page.getByText('0 of 2 pairs of strangers').first().waitFor();
  });

  await step('evaluate: earlier results are listed and removed', async () => {
    await go('evaluate');
    await page.getByRole('heading', { name: 'Measured before' }).waitFor();
    await page.getByText('decided rightly').first().waitFor();
    const rows = page.locator('tbody tr');
    const n = await rows.count();
    check(n === 7, `seven earlier results, not ${n}`);
    await look('evaluate-earlier');
    await rows.last().getByRole('button', { name: /^Remove/ }).click();
    await page.waitForFunction((k) => document.querySelectorAll('tbody tr').length === k, n - 1);
    await rows.first().getByRole('link').click();
    await button('Remove…').click();
    await button('Remove', dialog()).click();
    await page.waitForFunction((k) => document.querySelectorAll('tbody tr').length === k, n - 2);
    await refused(404, async () => {
      await page.goto(`${new URL(page.url()).origin}/#/evaluate/0123456789abcdef`);
      await page.getByText('This result is gone').waitFor();
    });
  });
  await step('settings: what is kept, until when', async () => {
    await go('settings/retention');
    await page.getByRole('heading', { name: 'Faces of pictures that were sent' }).waitFor();
    await look('retention');
    await page.getByLabel('New people expire').selectOption('90');
    await toast('expires then');
    await page.reload();
    await page.getByLabel('New people expire').waitFor();
    check(await page.getByLabel('New people expire').inputValue() === '90', 'the span is not kept');
    await page.getByLabel('New people expire').selectOption('0');
    await toast('stays');
    await page.getByRole('button', { name: 'Remove the faces of Colleagues' }).click();
    await page.waitForFunction(() => ![...document.querySelectorAll('td')].some((d) => d.textContent === 'Colleagues12 people'));
    const left = await page.getByRole('button', { name: /^Remove the (evaluation|calibration)/ }).count();
    await page.getByRole('button', { name: /^Remove the (evaluation|calibration)/ }).first().click();
    await page.waitForFunction((n) => [...document.querySelectorAll('.icon-button')].filter((b) => /^Remove the (evaluation|calibration)/.test(b.title)).length === n, left - 1);
  });
  fs.rmSync(path.dirname(folder), { recursive: true, force: true });
}
