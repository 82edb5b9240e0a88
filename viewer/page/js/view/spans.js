// The timeline: a bar from each `.start` to its `.stop`, the names one below the other.

import { count, duration } from "../data/format.js";
import { by, h } from "./dom.js";

const MOST = 1500; // bars of one session, the newest
const LANE = 24;

export class Spans {
  constructor(store, filter, open) {
    this.store = store;
    this.filter = filter;
    this.open = open;
    this.zoom = 1;
    this.isOpen = false;
    for (const [id, factor] of [["zoom-in", 2], ["zoom-out", 0.5]]) {
      by(id).addEventListener("click", () => {
        this.zoom = Math.min(64, Math.max(1, this.zoom * factor));
        this.update();
      });
    }
  }

  show() {
    this.isOpen = true;
    this.update();
  }

  hide() {
    this.isOpen = false;
  }

  update() {
    if (!this.isOpen) return;
    const now = Date.now();
    const sections = [];
    for (const session of this.store.sessions.values()) {
      if (this.filter.session && this.filter.session !== session.key) continue;
      const spans = session.spans.filter(({ name }) => name.toLowerCase().includes(this.filter.prefix)).slice(-MOST);
      if (spans.length) sections.push(this.#section(session, spans, now));
    }
    const scrolled = [...document.querySelectorAll(".lanes")].map((lanes) => lanes.scrollLeft);
    by("spans-list").replaceChildren(...sections);
    document.querySelectorAll(".lanes").forEach((lanes, at) => (lanes.scrollLeft = scrolled[at] ?? 0));
    by("spans-empty").hidden = sections.length > 0;
  }

  #section(session, spans, now) {
    const running = session.state(now) === "running";
    const end = (span) => span.to ?? (running ? now : session.last);
    const from = Math.min(session.first, ...spans.map((span) => span.from));
    const length = Math.max(1, session.last - from, ...spans.map((span) => end(span) - from));
    const names = h("div", { class: "lane-names", "aria-hidden": "true" });
    const track = h("div", { class: "track" });
    let top = 0;
    for (const [name, own] of byName(spans)) {
      const ends = [];
      for (const span of own.sort((a, b) => a.from - b.from)) {
        let lane = ends.findIndex((until) => until <= span.from);
        if (lane < 0) lane = ends.length;
        ends[lane] = end(span);
        track.append(this.#bar(span, top + lane, ((span.from - from) / length) * 100, ((end(span) - span.from) / length) * 100));
      }
      const label = h("span", { title: name }, name);
      label.style.height = `${ends.length * LANE}px`;
      names.append(label);
      top += ends.length;
    }
    track.style.height = `${top * LANE}px`;
    track.style.width = `${this.zoom * 100}%`;
    const title = h("h3", { class: `c${session.colour}` }, h("i", { class: "dot" }), h("b", {}, session.id), h("span", {}, duration(length)));
    const lanes = h("div", { class: "lanes", tabindex: "0", "aria-label": "Timeline" }, track);
    return h("section", { class: "card spans", "aria-label": `Spans of ${session.id}` }, title, h("div", { class: "timeline" }, names, lanes), totals(spans));
  }

  #bar(span, lane, left, width) {
    const took = span.to === null ? "no end yet" : duration(span.to - span.from);
    const label = `${span.name}, ${took}${span.failed ? ", ended by an exception" : ""}`;
    const kind = span.failed ? "failed" : span.to === null ? "open" : "";
    const bar = h("button", { type: "button", class: `bar c${span.session.colour} ${kind}`, title: label, "aria-label": label, onclick: () => this.open(span.row) }, h("span", {}, took));
    bar.style.left = `${left}%`;
    bar.style.width = `${width}%`;
    bar.style.top = `${lane * LANE + 2}px`;
    return bar;
  }
}

function byName(spans) {
  const names = new Map();
  for (const span of spans) {
    if (!names.has(span.name)) names.set(span.name, []);
    names.get(span.name).push(span);
  }
  return names;
}

function totals(spans) {
  const names = new Map();
  for (const span of spans) {
    const own = names.get(span.name) ?? { count: 0, failed: 0, sum: 0, most: 0, ended: 0 };
    names.set(span.name, own);
    own.count += 1;
    own.failed += span.failed ? 1 : 0;
    if (span.to === null) continue;
    own.ended += 1;
    own.sum += span.to - span.from;
    own.most = Math.max(own.most, span.to - span.from);
  }
  const row = ([name, own]) =>
    h("tr", {}, h("th", { scope: "row" }, name), ...[count(own.count), own.ended ? duration(own.sum / own.ended) : "–", duration(own.most), own.failed ? count(own.failed) : "–"].map((text) => h("td", {}, text)));
  return h(
    "table",
    { "aria-label": "Spans by name" },
    h("thead", {}, h("tr", {}, ...["Span", "Count", "Mean", "Longest", "Failed"].map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, ...[...names].sort((a, b) => b[1].sum - a[1].sum).map(row)),
  );
}
