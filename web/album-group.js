/* One person of an album: every face, the pictures they are in, and what can be put right. */
import { h, fill, icon, iconButton, button, badge, empty, spinner, toast, failed, busy, plural, number } from './ui.js';
import { Album, crop, nameField, mergeDialog, pickGroup, enrolGroup, undoButton, titleOf, fileName } from './album-parts.js';

const FACES = 240;  /* drawn at a time */
const SURE = 0.5;   /* confidence below which a face is marked, as on contact sheets */

export async function groupPage(main, set, id) {
  const page = new Group(main, set, id);
  fill(main, spinner());
  await page.open();
}

class Group {
  constructor(main, set, id) {
    this.main = main;
    this.id = id;
    this.album = new Album(set);
    this.album.onchange = () => this.open();
    this.chosen = new Set();
  }

  async open() {
    try {
      await this.album.load();
      this.faces = this.album.group(this.id) ? await this.album.all(this.id) : [];
    } catch (e) {
      if (e.status !== 404) throw e;
      this.faces = [];
    }
    const there = new Set(this.faces.map((f) => f.id));
    for (const f of this.chosen) if (!there.has(f)) this.chosen.delete(f);
    this.group = this.album.group(this.id);
    if (this.group) this.draw();
    else this.drawGone();
  }

  back() {
    return h('a', { class: 'crumb', href: `#/album/${this.album.id}` }, icon('back'), this.album.set ? this.album.name : 'Album');
  }

  drawGone() {
    const undo = this.album.set && this.album.undoable && undoButton(this.album).button;
    fill(this.main, this.back(), empty('people', 'Nobody here', 'This group was merged into another, or its last face was taken out.', undo));
  }

  draw() {
    const { album, group: g } = this, at = album.groups.indexOf(g), before = album.groups[at - 1], after = album.groups[at + 1];
    const name = nameField(album, g, { class: 'name-field large' });
    const pictures = [...new Set(this.faces.map((f) => f.path))].sort();
    name.update(g);
    document.title = `${titleOf(g)} · mien`;
    const go = (to, label) => to && h('a', { class: 'button small', href: `#/album/${album.id}/${to.id}` }, label);
    fill(this.main, h('div', { class: 'group-nav' }, this.back(), h('div', { class: 'actions' }, go(before, 'Previous'), go(after, 'Next'))),
      h('div', { class: 'person-head' }, h('span', { class: 'portrait large', 'aria-hidden': 'true' }, crop(album, this.faces[0].id)),
        h('div', {}, h('h1', { class: 'unseen' }, titleOf(g)), name.input, h('p', { class: 'hint' }, `${plural(g.n_faces, 'face')} in ${plural(pictures.length, 'picture')}`)),
        h('div', { class: 'actions' }, undoButton(album).button, album.groups.length > 1 && button('Merge with…', () => mergeDialog(album, g, (r) => this.show(r.id)), { symbol: 'merge' }),
          button('Enrol in the gallery', () => enrolGroup(album, g), { kind: 'primary', symbol: 'plus' }))),
      h('div', { class: 'person-body' }, this.facesCard(), this.picturesCard(pictures)));
  }

  show(id) {
    if (id !== this.id) window.location.hash = `#/album/${this.album.id}/${id}`;
  }

  /* ---- faces ---- */

  facesCard() {
    const label = h('span', { class: 'hint', role: 'status' }), grid = h('div', { class: 'faces' }), more = h('div', { class: 'load-more' });
    const act = (text, symbol, run, title) => button(text, (e) => busy(e.currentTarget, () => run([...this.chosen])), { kind: 'small', symbol, title });
    const tools = [act('Not this person', 'close', (f) => this.notThis(f)), act('Split off', 'split', (f) => this.split(f), 'Make the chosen faces a person of their own'),
      act('Move to…', 'merge', (f) => this.move(f), 'Give the chosen faces to another person')];
    const refresh = () => {
      const n = this.chosen.size, all = n === this.faces.length;
      label.textContent = n ? `${number(n)} chosen` : '';
      for (const t of tools) t.disabled = n === 0;
      tools[1].disabled = n === 0 || all;
      tools[2].disabled = n === 0 || this.album.groups.length < 2;
    };
    const draw = (from) => {
      grid.append(...this.faces.slice(from, from + FACES).map((f) => this.tile(f, refresh)));
      fill(more, from + FACES < this.faces.length && button('Show more', () => draw(from + FACES)));
    };
    draw(0);
    refresh();
    return h('section', { class: 'card', 'aria-labelledby': 'faces-title' }, h('div', { class: 'panel-head sticky-head' }, h('div', { class: 'chosen-head' }, h('h2', { id: 'faces-title' }, 'Faces'), label), h('div', { class: 'actions' }, tools)), grid, more);
  }

  tile(f, refresh) {
    const short = fileName(f.path);
    const box = h('div', { class: `face-card ${this.chosen.has(f.id) ? 'chosen' : ''}` },
      h('label', { class: 'tick' }, h('span', { class: 'unseen' }, `Choose the face in ${short}`), h('input', { type: 'checkbox', checked: this.chosen.has(f.id), onchange: (e) => {
        if (e.target.checked) this.chosen.add(f.id);
        else this.chosen.delete(f.id);
        box.classList.toggle('chosen', e.target.checked);
        refresh();
      } })),
      h('div', { class: 'face-pixels', onclick: () => box.querySelector('input').click() }, crop(this.album, f.id)),
      h('div', { class: 'face-text' }, h('div', { class: 'face-line' }, h('span', { class: 'source', title: f.path }, short),
        iconButton(`Not this person: the face in ${short}`, 'close', () => this.notThis([f.id]).catch(failed), { title: 'Not this person' })),
      f.quality === 0 ? h('div', {}, badge('poor', 'warn')) : f.similarity !== 0 && f.confidence < SURE && h('div', {}, badge('not sure', 'warn'))));
    return box;
  }

  async notThis(faces) {
    const { album } = this;
    const away = album.onchange;
    album.onchange = async () => {};
    try {
      for (const f of faces) await album.not(this.id, f);
    } finally {
      album.onchange = away;
      this.chosen.clear();
      await this.open();
    }
    toast(faces.length === 1 ? 'The face was taken out, and will not come back.' : `${plural(faces.length, 'face')} were taken out. Undo brings them back one by one.`, album.undoOffer);
  }

  async split(faces) {
    const made = await this.album.split(faces);
    toast(`${plural(made.n_faces, 'face')} ${made.n_faces === 1 ? 'is' : 'are'} now a person of ${made.n_faces === 1 ? 'its' : 'their'} own.`, { label: 'Show', action: () => this.show(made.id) });
  }

  async move(faces) {
    pickGroup(this.album, `Move ${plural(faces.length, 'face')} to…`, 'They leave this group and never come back by themselves.', 'Move', this.id, async (g) => {
      const r = await this.album.give(g.id, faces);
      toast(`${plural(faces.length, 'face')} moved to ${titleOf(r)}.`, this.album.undoOffer);
    });
  }

  /* ---- pictures ---- */

  picturesCard(pictures) {
    const copy = iconButton('Copy the list', 'copy', async () => {
      try {
        await navigator.clipboard.writeText(`${pictures.join('\n')}\n`);
        toast('The list was copied.');
      } catch {
        toast('The browser did not allow copying.', { kind: 'error' });
      }
    });
    return h('section', { class: 'card', 'aria-labelledby': 'pictures-title' }, h('div', { class: 'panel-head' }, h('h2', { id: 'pictures-title' }, `Pictures (${number(pictures.length)})`), copy),
      h('ul', { class: 'picture-list', tabindex: '0', 'aria-label': 'Pictures with this person' }, pictures.map((p) => h('li', {}, p))));
  }
}
