// The top of the page: the connection, rates and bytes, the outage to play, and what became of the program.

import { bytes, count, plural } from "../data/format.js";
import { by, h } from "./dom.js";

const SECONDS = 60;
const OUTAGES = [
  ["back", "Healthy", "Requests are answered again"],
  ["503", "503", "Every request is answered 503: try again later"],
  ["hang", "Hang", "No request is answered"],
  ["401", "401", "Every request is answered 401: the key is not valid"],
  ["413", "413", "Every request is answered 413: too large"],
  ["slow", "Slow", "Every answer takes three seconds"],
];

export class Header {
  constructor(store, feed) {
    this.store = store;
    this.feed = feed;
    this.rates = new Array(SECONDS).fill(0);
    this.seen = null;
    by("outage").append(
      ...OUTAGES.map(([word, label, title]) =>
        h("button", { type: "button", "data-word": word, title, "aria-pressed": "false", onclick: () => feed.outage(word) }, label),
      ),
    );
    setInterval(() => this.tick(), 1000);
    this.tick();
  }

  // What was there at the start is no rate: it came at once.
  tick() {
    if (this.feed.state === "live") {
      this.rates.shift();
      this.rates.push(this.seen === null ? 0 : Math.max(0, this.store.events - this.seen));
      this.seen = this.store.events;
    }
    const most = Math.max(1, ...this.rates);
    const points = this.rates.map((rate, at) => `${((at * 120) / (SECONDS - 1)).toFixed(1)},${(22 - (rate / most) * 20).toFixed(1)}`);
    by("spark-line").setAttribute("points", points.join(" "));
    const recent = this.rates.slice(-5).reduce((sum, rate) => sum + rate, 0) / 5;
    by("rate").textContent = `${recent && recent < 10 ? recent.toFixed(1) : count(recent)}/s`;
    this.draw();
  }

  draw() {
    by("total").textContent = plural(this.store.events, "event");
    by("bytes").textContent = bytes(this.store.bytes);
    const { status, state } = this.feed;
    const words = { live: "Live", connecting: "Connecting", gone: "The viewer is gone" };
    by("state").textContent = words[state];
    by("state").dataset.state = state;
    for (const button of by("outage").children) {
      button.setAttribute("aria-pressed", String(button.dataset.word === status.outage));
    }
    document.body.dataset.outage = status.outage;
    this.#notes(status);
  }

  #notes(status) {
    const notes = [];
    if (status.outage !== "back") {
      const [, label] = OUTAGES.find(([word]) => word === status.outage);
      notes.push(`An outage is played: ${label}. Programs see it until you press Healthy.`);
    }
    if (status.program) {
      const { name, exit_code } = status.program;
      notes.push(exit_code === null ? `${name} is running.` : `${name} ended with exit code ${exit_code}.`);
    }
    if (status.forward) notes.push(`Requests are passed on to ${status.forward}.`);
    const forgotten = Math.max(status.forgotten ?? 0, this.store.forgotten);
    if (forgotten) notes.push(`${plural(forgotten, "older event")} left memory. Use --keep FILE to have all of a long run.`);
    const text = notes.join(" ");
    if (by("notes").textContent !== text) by("notes").textContent = text;
  }
}

// Light, dark, or as the system has it.
export function theme() {
  const button = by("theme");
  const apply = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[name];
    button.setAttribute("aria-label", `Theme: ${name}. Press to change`);
    localStorage.setItem("theme", name);
    document.dispatchEvent(new Event("theme"));
  };
  const names = ["auto", "light", "dark"];
  const current = () => localStorage.getItem("theme") ?? "auto";
  button.addEventListener("click", () => apply(names[(names.indexOf(current()) + 1) % names.length]));
  apply(names.includes(current()) ? current() : "auto");
}
