// The list of events. Only the rows in sight are elements; the rest is height.

import { SEVERITIES } from "../data/filter.js";
import { clock, plural } from "../data/format.js";
import { summary } from "../data/store.js";
import { by, h } from "./dom.js";

const ROW = 32; // as in style.css
const SPARE = 8;

export class Events {
  constructor(store, filter, open) {
    this.store = store;
    this.filter = filter;
    this.open = open;
    this.scroller = by("events");
    this.height = by("events-height");
    this.shown = [];
    this.scanned = 0;
    this.selected = null;
    this.follows = true;
    this.unseen = 0;
    this.painted = new Map();
    this.scroller.addEventListener("scroll", () => this.#scrolled());
    this.scroller.addEventListener("keydown", (event) => this.#key(event));
    by("follow").addEventListener("click", () => this.follow());
    new ResizeObserver(() => this.#paint()).observe(this.scroller);
    this.refilter();
  }

  get isNewestFirst() {
    return this.filter.order === "newest";
  }

  at(place) {
    return this.shown[this.isNewestFirst ? this.shown.length - 1 - place : place];
  }

  refilter() {
    this.shown = [];
    this.scanned = 0;
    this.revision = this.store.revision;
    this.unseen = 0;
    this.update();
  }

  // Takes in the rows that are new. What the reader looks at stays where it is.
  update() {
    if (this.revision !== this.store.revision) {
      this.revision = this.store.revision;
      this.shown = [];
      this.scanned = 0;
    }
    const before = this.shown.length;
    const isFresh = this.scanned === 0;
    const rows = this.store.rows;
    for (; this.scanned < rows.length; this.scanned += 1) {
      if (this.filter.shows(rows[this.scanned])) this.shown.push(rows[this.scanned]);
    }
    const added = this.shown.length - before;
    this.height.style.height = `${this.shown.length * ROW}px`;
    if (this.follows) this.#toEdge();
    else if (!isFresh && added) {
      this.unseen += added;
      if (this.isNewestFirst) this.scroller.scrollTop += added * ROW;
    }
    this.#paint();
  }

  follow() {
    this.follows = true;
    this.unseen = 0;
    this.#toEdge();
    this.#paint();
  }

  #toEdge() {
    this.scroller.scrollTop = this.isNewestFirst ? 0 : this.scroller.scrollHeight;
  }

  #scrolled() {
    const top = this.scroller.scrollTop;
    const edge = this.isNewestFirst ? top : this.scroller.scrollHeight - this.scroller.clientHeight - top;
    this.follows = edge < ROW / 2;
    if (this.follows) this.unseen = 0;
    this.#paint();
  }

  #paint() {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW) - SPARE);
    const last = Math.min(this.shown.length, first + Math.ceil(this.scroller.clientHeight / ROW) + 2 * SPARE);
    const painted = new Map();
    for (let place = first; place < last; place += 1) painted.set(place, this.#kept(this.at(place), place));
    for (const [place, { element }] of this.painted) if (painted.get(place)?.element !== element) element.remove();
    let next = this.height.firstChild;
    for (const { element } of painted.values()) {
      if (element === next) next = next.nextSibling;
      else this.height.insertBefore(element, next); // the order of elements is what a screen reader reads
    }
    this.painted = painted;
    const { rows: all } = this.store;
    by("shown").textContent = this.filter.isActive ? `${plural(this.shown.length, "row")} of ${all.length}` : plural(this.shown.length, "row");
    by("events-empty").hidden = all.length > 0;
    by("events-none").hidden = all.length === 0 || this.shown.length > 0;
    const button = by("follow");
    button.hidden = this.follows;
    button.textContent = this.unseen ? `${plural(this.unseen, "new event")} · follow` : "Paused · follow";
  }

  // The element of this place as it is, if nothing of it changed: scrolling makes only the rows that come into sight.
  #kept(row, place) {
    const look = `${row === this.selected} ${row.attempts?.length ?? row.gap.missing}`;
    const known = this.painted.get(place);
    return known?.row === row && known.look === look ? known : { row, look, element: this.#element(row, place) };
  }

  #element(row, place) {
    const element = h("div", {
      id: `row-${place}`,
      role: "option",
      class: `row ${row.kind} l${row.level} ${row.session ? `c${row.session.colour}` : ""}`,
      "aria-selected": String(row === this.selected),
      "aria-posinset": place + 1,
      "aria-setsize": -1, // it grows all the time
      onclick: () => this.select(place),
    });
    element.style.top = `${place * ROW}px`;
    if (row === this.selected) this.scroller.setAttribute("aria-activedescendant", element.id);
    if (row.kind === "gap") element.append(h("span", { class: "lost" }, gapText(row)));
    else {
      element.append(
        h("time", {}, clock(row.time)),
        h("span", { class: "level" }, row.kind === "other" ? "REQUEST" : SEVERITIES[row.level]),
        h("span", { class: "name" }, h("i", { class: "dot" }), row.name),
        h("span", { class: "summary" }, ...badges(row), summary(row)),
      );
    }
    return element;
  }

  select(place) {
    if (!this.shown.length) return;
    place = Math.max(0, Math.min(this.shown.length - 1, place));
    this.selected = this.at(place);
    if (place > 0) this.follows = false;
    const top = place * ROW;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight) this.scroller.scrollTop = top + ROW - clientHeight;
    this.#paint();
    this.open(this.selected);
  }

  #key(event) {
    const page = Math.floor(this.scroller.clientHeight / ROW) - 1;
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity, j: 1, k: -1 };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const place = this.isNewestFirst ? this.shown.length - 1 - this.shown.indexOf(this.selected) : this.shown.indexOf(this.selected);
    const known = this.selected && this.shown.includes(this.selected);
    this.select(known ? place + moves[event.key] : Math.floor(this.scroller.scrollTop / ROW));
  }
}

export function gapText({ gap, isLive }) {
  const numbers = gap.from === gap.to ? `number ${gap.from}` : `numbers ${gap.from} to ${gap.to}`;
  const verb = isLive ? "never came" : gap.missing === 1 ? "is not in this file" : "are not in this file";
  return `${plural(gap.missing, "event")} ${verb} · ${numbers}`;
}

// A second attempt is a retry if the sender says so or the first was not accepted; else it is the same event twice.
export function badges(row) {
  const { attempts } = row;
  const marks = [];
  const retries = attempts.filter((attempt, at) => attempt.retry > 0 || (at > 0 && !isAccepted(attempts[at - 1]))).length;
  const twice = attempts.length - 1 - attempts.filter((attempt, at) => at > 0 && (attempt.retry > 0 || !isAccepted(attempts[at - 1]))).length;
  if (retries) marks.push(h("em", { class: "mark retry", title: attempts.map(answer).join(", then ") }, retries === 1 ? "retry" : `${retries} retries`));
  if (twice > 0) marks.push(h("em", { class: "mark twice", title: "The same event id arrived more than once" }, `came ${twice + 1}×`));
  const last = attempts.at(-1);
  if (!isAccepted(last)) marks.push(h("em", { class: "mark refused" }, answer(last)));
  return marks;
}

const isAccepted = ({ status }) => status >= 200 && status < 300;

export const answer = ({ status }) => (status ? `answered ${status}` : "no answer");
