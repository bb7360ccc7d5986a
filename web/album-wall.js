/* The wall: everyone in an album as a card with a face and a name to fill in, then the faces of nobody known. Cards keep their
 * places in the document while the album changes, so that pictures are not fetched again and the keyboard stays where it was. */
import { h, fill, icon, iconButton, button, field, check, dialog, confirm, facts, empty, spinner, toast, failed, busy, plural, number, moment, announce } from './ui.js';
import { takeFolders, folderChooser, refusedList, removeSet } from './sets.js';
import { Album, crop, nameField, mergeDialog, mergeGroups, pickGroup, undoButton, titleOf, fileName, download } from './album-parts.js';
import { sendInto, groupFaces, runningJob, followGrouping } from './album-send.js';
import { may, session } from './api.js';

const CARDS = 60, FACES = 120; /* drawn at a time */
const DRAGGED = 'application/x-mien-group';

/* What the way in hands over: a set just sent, to be grouped at once. */
let fresh = null;
export const arrive = (sent) => { fresh = sent; };

export async function wallPage(main, id) {
  const wall = new Wall(main, id);
  fill(main, spinner());
  try {
    await wall.open();
  } catch (e) {
    if (e.status !== 404) throw e;
    fill(main, h('a', { class: 'crumb', href: '#/album' }, icon('back'), 'Albums'),
      empty('album', 'This album is gone', 'It was removed, its time was over, or it belongs to another key.'));
  }
  return () => wall.leave();
}

class Wall {
  constructor(main, id) {
    this.main = main;
    this.album = new Album(id);
    this.album.onchange = () => this.refresh();
    this.cards = new Map();
    this.limit = CARDS;
    this.chosen = new Set();
    this.gone = new AbortController();
    this.watch = new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) this.more(); }, { rootMargin: '600px' });
    this.watchLoose = new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) this.showLoose(); }, { rootMargin: '300px' });
  }

  leave() {
    this.gone.abort();
    this.watch.disconnect();
    this.watchLoose.disconnect();
  }

  async open() {
    const sent = fresh && fresh.set.id === this.album.id ? fresh : null;
    fresh = null;
    await this.album.load();
    this.layOut();
    this.draw();
    if (sent) this.showRefused(sent.refused);
    const job = await (sent && sent.set.faces ? groupFaces(this.album.id) : runningJob(this.album.id)).catch((e) => { failed(e); return null; });
    if (job) await this.follow(job);
  }

  async refresh() {
    await this.album.load();
    if (!this.gone.signal.aborted) this.draw();
  }

  /* ---- frame ---- */

  layOut() {
    const { album } = this;
    this.summary = h('p', {});
    this.work = h('div', { class: 'album-work' });
    this.notes = h('div', { class: 'stack' });
    this.grid = h('div', { class: 'groups', role: 'list', 'aria-label': 'People' });
    this.place = h('div', {});
    this.end = h('div', { class: 'album-end' });
    this.undo = undoButton(album);
    this.search = h('input', { type: 'search', placeholder: 'Search by name', 'aria-label': 'Search by name', oninput: () => { this.limit = CARDS; this.draw(); announce(plural(this.shown().length, 'person', 'people')); } });
    this.tools = h('div', { class: 'toolbar' }, h('div', { class: 'search' }, icon('search'), this.search), this.undo.button);
    this.layOutLoose();
    const whole = h('div', { class: 'whole stack' }, h('div', {}, h('a', { class: 'crumb', href: '#/album' }, icon('back'), 'Albums'),
      h('div', { class: 'page-head' }, h('div', {}, h('h1', {}, album.name), this.summary), h('div', { class: 'actions' },
        folderChooser('Add pictures', (chosen) => this.add(chosen), { kind: '', symbol: 'plus', folder: false }),
        button('Group again…', () => this.groupDialog(), { symbol: 'people' })))),
    this.work, this.notes, this.tools, this.place, this.end, this.loose, this.about());
    fill(this.main, whole);
    takeFolders(whole, (chosen) => this.add(chosen));
    this.watch.observe(this.end);
    this.watchLoose.observe(this.loose);
  }

  about() {
    const { album } = this, save = (kind) => (e) => busy(e.currentTarget, () => download(album, kind));
    return h('section', { class: 'card pad form', 'aria-labelledby': 'about-album' }, h('h2', { id: 'about-album' }, 'This album'),
      h('p', { class: 'hint' }, 'On this server lie, for each face, the name of its picture, where it is, a small picture of it and its template; for each group its name. The pictures themselves are not kept. ',
        h('strong', {}, `All of it is removed on ${moment(album.set.expires_ms)}`), ', or now:'),
      h('div', { class: 'actions' }, button('Download as CSV', save('csv'), { symbol: 'down' }), button('Download as JSON', save('json'), { symbol: 'down' }),
        button('Remove the album…', () => this.remove(), { kind: 'danger-quiet', symbol: 'trash' })));
  }

  async remove() {
    if (!await confirm(`Remove “${this.album.name}”?`, `Its ${plural(this.album.n_faces, 'face')}, groups and names are destroyed. Your pictures are not touched, nor is who was enrolled from here. This cannot be undone.`, 'Remove')) return;
    try {
      await removeSet(this.album.id);
      window.location.hash = '#/album';
      toast('The album was removed.');
    } catch (e) {
      failed(e);
    }
  }

  async add(chosen) {
    if (this.adding) return;
    this.adding = true;
    const sent = await sendInto(this.work, chosen, { into: this.album.set, signal: this.gone.signal });
    this.adding = false;
    if (this.gone.signal.aborted) return;
    if (sent) this.showRefused(sent.refused);
    await this.refresh();
    if (sent) await this.group({});
  }

  /* ---- grouping ---- */

  async group(how) {
    const job = await groupFaces(this.album.id, how).catch((e) => { failed(e); return null; });
    if (job) await this.follow(job);
  }

  async follow(job) {
    this.main.classList.add('album-busy');
    const result = await followGrouping(this.work, job, this.gone.signal);
    this.main.classList.remove('album-busy');
    if (this.gone.signal.aborted) return;
    this.loose.dataset.loaded = '';
    await this.refresh().catch(failed);
    if (result) this.showResult(result);
  }

  showResult(r) {
    const joined = r.joined ? ` ${plural(r.joined, 'face')} joined people who were there or are enrolled.` : '';
    const text = r.groups ? `${plural(r.groups, 'person was', 'people were')} found; ${plural(r.ungrouped, 'face is', 'faces are')} in no group.${joined}`
      : 'Nobody is in two pictures, as far as these faces show.';
    announce(text);
    const s = r.scores, percent = (v) => `${(100 * v).toFixed(1)} %`;
    if (!s) { toast(text); return; }
    fill(this.notes, h('section', { class: 'card pad', 'aria-labelledby': 'judged' }, h('h2', { id: 'judged' }, 'Compared with the folders'),
      facts(['Precision', `${percent(s.b_precision)}: of the faces in a face’s group, so many are of the same person`],
        ['Recall', `${percent(s.b_recall)}: of a person’s faces, so many are in one group`], ['B-cubed F1', percent(s.b_f1)],
        ['Pairs', `precision ${percent(s.pair_precision)}, recall ${percent(s.pair_recall)}`],
        ['Judged', `${plural(s.n_faces, 'face')} of ${plural(s.n_people, 'person', 'people')}, one of each picture`])));
  }

  showRefused(refused) {
    if (refused.length) fill(this.notes, refusedList(refused));
  }

  groupDialog() {
    const d = dialog('Group again');
    const strict = h('select', {}, [['', 'As usual'], ['1e-6', 'Stricter: fewer wrong faces, more people in two groups'], ['1e-3', 'More lenient: fewer groups, more wrong faces']].map(([v, t]) => h('option', { value: v }, t)));
    const names = check(`Names of people who are enrolled in “${session.collection}”`, 'A group that is like one of them takes the name.', true);
    const anew = check('Start over', 'Groups that nobody has named or corrected are dissolved first. What was done before can then not be taken back.');
    const judge = check('The folders are people', 'Says how well the groups match the folders that the pictures lie in.');
    const go = button('Group', () => busy(go, async () => {
      d.close();
      await this.group({ names: may('read') && names.input.checked, anew: anew.input.checked, judge: judge.input.checked, pair_fmr: Number(strict.value) || undefined });
    }), { kind: 'primary' });
    fill(d.body, h('p', {}, 'Faces that are in no group are looked at once more. Groups keep their names, and what you corrected stays corrected.'),
      field('How sure', strict), may('read') && names.row, anew.row, judge.row);
    fill(d.foot, button('Cancel', d.close), go);
  }

  /* ---- the people ---- */

  shown() {
    const match = this.search.value.trim().toLowerCase();
    return match ? this.album.groups.filter((g) => g.name.toLowerCase().includes(match)) : this.album.groups;
  }

  more() {
    if (this.limit >= this.shown().length) return;
    this.limit += CARDS;
    this.drawCards();
    /* what is still in sight is not told of a second time */
    this.watch.unobserve(this.end);
    this.watch.observe(this.end);
  }

  draw() {
    const { album } = this, named = album.groups.filter((g) => g.name).length;
    this.undo.refresh();
    fill(this.summary, album.groups.length ? `${plural(album.groups.length, 'person', 'people')}${named ? `, ${number(named)} named` : ''} · ` : '',
      `${plural(album.n_faces, 'face')} in ${plural(album.set.pictures, 'picture')}`, album.groups.length > 1 && h('span', { class: 'for-mouse' }, '. Drag a card onto another to merge the two.'));
    this.tools.hidden = album.groups.length === 0;
    if (album.groups.length === 0) fill(this.place, this.nobody());
    else if (this.shown().length === 0) fill(this.place, empty('search', 'Nobody of that name', `No one’s name contains “${this.search.value.trim()}”.`));
    else if (this.grid.parentNode !== this.place) fill(this.place, this.grid);
    this.drawCards();
    this.drawLoose();
  }

  nobody() {
    const { album } = this;
    if (album.n_faces === 0) return empty('album', 'No faces here', 'No face was found in these pictures. Add some in which people can be seen.');
    return empty('people', 'Not grouped yet', `${plural(album.n_faces, 'face')} wait to be sorted into people.`,
      button('Group the faces', (e) => busy(e.currentTarget, () => this.group({})), { kind: 'primary', symbol: 'people' }));
  }

  drawCards() {
    const wanted = this.shown().slice(0, this.limit), keep = new Set(wanted.map((g) => g.id)), focused = document.activeElement;
    for (const [id, card] of this.cards)
      if (!keep.has(id)) { card.element.remove(); this.cards.delete(id); }
    wanted.forEach((g, i) => {
      const card = this.cards.get(g.id) || this.card(g);
      card.update(g);
      if (this.grid.children[i] !== card.element) this.grid.insertBefore(card.element, this.grid.children[i] || null);
    });
    if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  }

  card(group) {
    const { album } = this;
    let g = group, shownFace = 0;
    const face = h('a', { class: 'group-face', href: `#/album/${album.id}/${g.id}` }), count = h('small', {}), name = nameField(album, g);
    const merge = iconButton('Merge with…', 'merge', () => mergeDialog(album, g));
    const element = h('article', { class: 'group-card', role: 'listitem', draggable: 'true' }, face, h('div', { class: 'group-text' }, name.input, h('div', {}, count, merge)));
    element.addEventListener('dragstart', (e) => {
      if (e.target.closest('input')) { e.preventDefault(); return; }
      e.dataTransfer.setData(DRAGGED, String(g.id));
      e.dataTransfer.effectAllowed = 'move';
      element.classList.add('dragged');
    });
    element.addEventListener('dragend', () => element.classList.remove('dragged'));
    const takes = (e) => e.dataTransfer.types.includes(DRAGGED) && !element.classList.contains('dragged');
    element.addEventListener('dragover', (e) => { if (takes(e)) { e.preventDefault(); element.classList.add('target'); } });
    element.addEventListener('dragleave', (e) => { if (!element.contains(e.relatedTarget)) element.classList.remove('target'); });
    element.addEventListener('drop', (e) => {
      element.classList.remove('target');
      const from = takes(e) && album.group(Number(e.dataTransfer.getData(DRAGGED)));
      if (!from) return;
      e.preventDefault();
      e.stopPropagation();
      mergeGroups(album, g, from).catch(failed);
    });
    const card = { element, update: (now) => {
      g = now;
      if (g.faces[0].id !== shownFace) {
        shownFace = g.faces[0].id;
        fill(face, crop(album, shownFace), h('span', { class: 'unseen' }));
      }
      face.lastChild.textContent = `Show the faces of ${titleOf(g)}, ${plural(g.n_faces, 'face')}`;
      count.textContent = plural(g.n_faces, 'face');
      merge.setAttribute('aria-label', `Merge ${titleOf(g)}, ${plural(g.n_faces, 'face')}, with…`);
      name.update(g);
    } };
    this.cards.set(g.id, card);
    return card;
  }

  /* ---- faces of no group ---- */

  layOutLoose() {
    this.looseGrid = h('div', { class: 'loose-faces' });
    this.looseMore = h('div', { class: 'load-more' });
    this.looseTitle = h('h2', { id: 'loose-title' });
    this.looseCount = h('span', { class: 'hint', role: 'status' });
    this.together = button('One person', () => this.makeGroup(), { kind: 'small', symbol: 'plus', title: 'Make a group of the chosen faces' });
    this.into = button('Add to…', () => this.addTo(), { kind: 'small', symbol: 'merge', title: 'Add the chosen faces to a person' });
    this.loose = h('section', { class: 'card', 'aria-labelledby': 'loose-title' }, h('div', { class: 'panel-head sticky-head' }, h('div', { class: 'chosen-head' }, this.looseTitle, this.looseCount), h('div', { class: 'actions' }, this.together, this.into)),
      h('p', { class: 'panel-note' }, 'Seen only once, or too small, blurred or turned to tell. Choose some to make them a person, or to add them to one.'), this.looseGrid, this.looseMore);
  }

  drawLoose() {
    const { album } = this;
    this.loose.hidden = album.n_ungrouped === 0 || (album.groups.length === 0 && !album.undoable && this.loose.dataset.loaded === undefined);
    this.looseTitle.textContent = `In no group (${number(album.n_ungrouped)})`;
    if (this.loose.dataset.loaded && this.loose.dataset.loaded !== this.state()) { this.loose.dataset.loaded = ''; this.showLoose(); }
    this.watchLoose.unobserve(this.loose);
    if (!this.loose.hidden) this.watchLoose.observe(this.loose);
    this.refreshChosen();
  }

  /* Any correction may have moved a face in or out. */
  state() {
    return `${this.album.n_ungrouped} ${this.album.undoable}`;
  }

  async showLoose() {
    if (this.loose.dataset.loaded) return;
    this.loose.dataset.loaded = this.state();
    await this.loadLoose(0).catch(failed);
  }

  async loadLoose(after) {
    const page = await this.album.faces(0, { limit: FACES, after: after || undefined });
    const tiles = page.faces.map((f) => this.looseTile(f));
    if (after) this.looseGrid.append(...tiles);
    else {
      const there = new Set(page.faces.map((f) => f.id));
      for (const id of this.chosen) if (!there.has(id)) this.chosen.delete(id);
      fill(this.looseGrid, tiles);
    }
    fill(this.looseMore, page.next && button('Show more', (e) => busy(e.currentTarget, () => this.loadLoose(page.next))));
    this.refreshChosen();
  }

  looseTile(f) {
    const input = h('input', { type: 'checkbox', checked: this.chosen.has(f.id), onchange: () => {
      if (input.checked) this.chosen.add(f.id);
      else this.chosen.delete(f.id);
      this.refreshChosen();
    } });
    return h('label', { class: 'loose-face', title: f.path }, crop(this.album, f.id), input, h('span', { class: 'unseen' }, `Face in ${fileName(f.path)}`), f.quality === 0 && h('span', { class: 'poor' }, 'poor'));
  }

  refreshChosen() {
    const n = this.chosen.size;
    this.looseCount.textContent = n ? `${number(n)} chosen` : '';
    this.together.disabled = n === 0;
    this.into.disabled = n === 0 || this.album.groups.length === 0;
  }

  makeGroup() {
    busy(this.together, async () => {
      const faces = [...this.chosen];
      this.chosen.clear();
      const made = await this.album.split(faces);
      toast(`${plural(made.n_faces, 'face')} made a person.`, this.album.undoOffer);
      const card = this.cards.get(made.id);
      if (card) card.element.querySelector('input').focus();
    }).then(() => this.refreshChosen());
  }

  addTo() {
    const faces = [...this.chosen];
    pickGroup(this.album, `Add ${plural(faces.length, 'face')} to…`, 'Whose face is it?', 'Add', 0, async (g) => {
      this.chosen.clear();
      const r = await this.album.give(g.id, faces);
      toast(`${plural(faces.length, 'face')} added to ${titleOf(r)}.`, this.album.undoOffer);
    });
  }
}
