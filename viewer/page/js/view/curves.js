// A chart for each numeric field: over its step, or over time. Runs lie over each other.

import { clock, number, plural } from "../data/format.js";
import { by, h } from "./dom.js";

const MOST = 48; // charts at once
const HEIGHT = 200;

export class Curves {
  constructor(store, filter) {
    this.store = store;
    this.filter = filter;
    this.cards = new Map();
    this.isOpen = false;
    this.inSight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        target.card.inSight = isIntersecting;
        if (isIntersecting) this.#draw(target.card);
      }
    });
    new ResizeObserver(() => this.#resize()).observe(by("curves"));
    document.addEventListener("theme", () => this.#restart());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#restart());
  }

  async show() {
    this.isOpen = true;
    await library();
    this.update();
  }

  hide() {
    this.isOpen = false;
  }

  #restart() {
    for (const card of this.cards.values()) card.plot = void card.plot?.destroy();
    this.update();
  }

  update() {
    if (!this.isOpen || !globalThis.uPlot) return;
    const all = this.#fields();
    const isCurve = ([, runs]) => runs.some(({ series }) => series.values.length > 1);
    const fields = new Map([...all].filter(isCurve).slice(0, MOST));
    this.#singles([...all].filter((field) => !isCurve(field)).slice(0, MOST));
    for (const [key, card] of this.cards) {
      if (!fields.has(key)) {
        card.plot?.destroy();
        this.inSight.unobserve(card.element);
        card.element.remove();
        this.cards.delete(key);
      }
    }
    for (const [key, runs] of fields) {
      let card = this.cards.get(key);
      if (!card) this.cards.set(key, (card = this.#card(key)));
      card.runs = runs;
      if (card.inSight) this.#draw(card);
    }
    by("curves-empty").hidden = all.size > 0;
  }

  // The runs of each field that the filter lets through.
  #fields() {
    const fields = new Map();
    for (const session of this.store.sessions.values()) {
      if (this.filter.session && this.filter.session !== session.key) continue;
      for (const [key, series] of session.series) {
        if (this.filter.prefix && !series.name.toLowerCase().includes(this.filter.prefix)) continue;
        if (this.filter.pattern && !this.filter.pattern.test(`${series.name} ${series.path}`)) continue;
        if (!fields.has(key)) fields.set(key, []);
        fields.get(key).push({ session, series });
      }
    }
    return fields;
  }

  // One value makes no curve: settings and final results stand side by side in a table.
  #singles(fields) {
    by("singles").hidden = fields.length === 0;
    const runs = [...new Set(fields.flatMap(([, own]) => own.map(({ session }) => session)))];
    const head = h("tr", {}, h("th", { scope: "col" }, "Field"), ...runs.map((session) => h("th", { scope: "col", class: `c${session.colour}` }, h("i", { class: "dot" }), session.id)));
    const rows = fields.map(([key, own]) => {
      const [name, path] = key.split("\u0000");
      const values = runs.map((session) => own.find((run) => run.session === session)?.series.values.at(-1));
      return h("tr", {}, h("th", { scope: "row" }, path, h("span", {}, name)), ...values.map((value) => h("td", {}, number(value))));
    });
    by("singles").querySelector("table").replaceChildren(h("thead", {}, head), h("tbody", {}, ...rows));
  }

  #card(key) {
    const [name, path] = key.split("\u0000");
    const figure = h("div", { class: "chart", role: "img", tabindex: "0", "aria-keyshortcuts": "+ - 0 ArrowLeft ArrowRight" });
    const table = h("table", {});
    const all = h("button", { type: "button", class: "link all", hidden: true });
    const element = h("section", { class: "card", "aria-label": `${path} of ${name}` }, h("h3", {}, h("b", {}, path), h("span", {}, name), all), figure, table);
    const card = { key, name, path, element, figure, table, all, runs: [], plot: null, inSight: false };
    element.card = card;
    all.addEventListener("click", () => zoom(card.plot, "0") && figure.focus());
    figure.addEventListener("keydown", (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.altKey && zoom(card.plot, event.key)) event.preventDefault();
    });
    by("curves-grid").append(element);
    this.inSight.observe(element);
    return card;
  }

  #draw(card) {
    const overStep = this.filter.x === "step" && card.runs.every(({ series }) => series.steps.some((step) => step !== null));
    const data = aligned(card.runs, overStep);
    const shape = card.runs.map(({ session }) => session.key).join() + overStep;
    if (!card.plot || card.shape !== shape) {
      card.plot?.destroy();
      card.shape = shape;
      card.plot = new uPlot(this.#options(card, overStep), data, card.figure);
    } else {
      card.plot.setData(data, !isZoomed(card.plot));
    }
    const lengths = card.runs.map(({ series }) => series.values.length);
    card.figure.setAttribute("aria-label", `${card.path} over ${overStep ? "step" : "time"}, ${plural(card.runs.length, "run")}, ${plural(Math.max(...lengths), "point")}; the last values are in the table`);
    card.table.replaceChildren(
      h("caption", { class: "quiet" }, "Last values"),
      h("thead", {}, h("tr", {}, ...["Run", "Last", "Min", "Max"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, ...card.runs.map((run) => lastValues(run))),
    );
  }

  #options(card, overStep) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px Inter, system-ui, sans-serif" };
    return {
      width: Math.max(200, card.figure.clientWidth),
      height: HEIGHT,
      padding: [10, 12, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: overStep ? "step" : "time" }, drag: { x: true, y: false, uni: 20 }, points: { size: 7 } },
      scales: { x: { time: !overStep } },
      axes: [
        { ...axis, gap: 6, size: overStep ? 28 : 44, values: overStep ? (_, ticks) => ticks.map(number) : undefined },
        { ...axis, size: 52, values: (_, ticks) => ticks.map(number) },
      ],
      hooks: { setScale: [(plot, scale) => scale === "x" && showRange(card, plot, overStep)] },
      series: [
        { label: overStep ? "step" : "time" },
        ...card.runs.map(({ session, series }) => ({
          label: session.id,
          stroke: colour(`--c${session.colour}`),
          width: 1.75,
          spanGaps: true,
          points: { show: series.values.length < 3, size: 6 },
        })),
      ],
    };
  }

  #resize() {
    for (const { plot, figure } of this.cards.values()) {
      const width = Math.max(200, figure.clientWidth);
      if (plot && plot.width !== width) plot.setSize({ width, height: HEIGHT });
    }
  }
}

const isZoomed = ({ scales: { x }, data: [xs] }) => xs.length > 1 && x.min !== undefined && (x.min > xs.isFrom || x.max < xs.isTo);

// Keys of a chart: closer, wider, to the sides, all. Answers whether the key is one of them.
function zoom(plot, key) {
  const moves = { "+": [0.25, -0.25], "=": [0.25, -0.25], "-": [-0.5, 0.5], ArrowLeft: [-0.25, -0.25], ArrowRight: [0.25, 0.25], 0: [-Infinity, Infinity] };
  if (!plot || !(key in moves)) return false;
  const { isFrom, isTo } = plot.data[0];
  const { min, max } = plot.scales.x;
  const [left, right] = moves[key].map((part) => part * (max - min));
  const from = Math.max(isFrom, min + left);
  const to = Math.min(isTo, max + right);
  if (to > from) plot.setScale("x", { min: from, max: to });
  return true;
}

// A part of the run is named as a part, with the way back.
function showRange(card, plot, overStep) {
  card.all.hidden = !isZoomed(plot);
  if (card.all.hidden) return;
  const { min, max } = plot.scales.x;
  const words = overStep ? (x) => number(Math.round(x)) : (x) => clock(x * 1000).slice(0, 8);
  card.all.textContent = `${words(min)} to ${words(max)} · show all`;
  card.all.setAttribute("aria-label", `${card.path}: shows ${overStep ? "steps " : ""}${words(min)} to ${words(max)}. Show all`);
}

function lastValues({ session, series }) {
  let least = Infinity;
  let most = -Infinity;
  for (const value of series.values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const run = h("th", { scope: "row", class: `c${session.colour}` }, h("i", { class: "dot" }), session.id);
  return h("tr", {}, run, ...[series.values.at(-1), least, most].map((value) => h("td", {}, number(value))));
}

// One column of x for all runs, as uPlot wants it. A step that comes twice counts with its last value.
function aligned(runs, overStep) {
  const tables = runs.map(({ series }) => {
    const points = new Map();
    const xs = overStep ? series.steps : series.times;
    for (let at = 0; at < xs.length; at += 1) if (xs[at] !== null) points.set(xs[at], series.values[at]);
    return points;
  });
  const xs = [...new Set(tables.flatMap((points) => [...points.keys()]))].sort((a, b) => a - b);
  xs.isFrom = xs[0];
  xs.isTo = xs.at(-1);
  return [xs, ...tables.map((points) => xs.map((x) => points.get(x)))];
}

// The charts' library is loaded with the first look at a chart: the page starts without it.
let loading = null;
function library() {
  loading ??= new Promise((resolve) => {
    document.head.append(h("link", { rel: "stylesheet", href: "/_viewer/vendor/uplot.css" }));
    document.head.append(h("script", { src: "/_viewer/vendor/uplot.js", onload: resolve }));
  });
  return loading;
}
