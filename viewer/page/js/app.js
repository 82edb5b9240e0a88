// Puts the parts together: what arrives goes to the store, and the views draw what the filter shows of it.

import { Feed, save } from "./data/feed.js";
import { Filter } from "./data/filter.js";
import { plural } from "./data/format.js";
import { Store } from "./data/store.js";
import { Curves } from "./view/curves.js";
import { Detail } from "./view/detail.js";
import { by, copyable, eachFrame } from "./view/dom.js";
import { Events } from "./view/events.js";
import { Header, theme } from "./view/header.js";
import { Sessions } from "./view/sessions.js";
import { Spans } from "./view/spans.js";

const VIEWS = ["events", "curves", "spans"];

const store = new Store();
const filter = new Filter();
const feed = new Feed(store);
const detail = new Detail(filter);
const header = new Header(store, feed);
const sessions = new Sessions(store, filter);
const events = new Events(store, filter, (row) => detail.open(row));
const views = { curves: new Curves(store, filter), spans: new Spans(store, filter, (row) => detail.open(row)) };

const drawSoon = eachFrame(() => {
  sessions.draw();
  header.draw();
  events.update();
  drawRestSoon();
});
// Charts and timelines cost more than rows: a few times a second is live enough.
let restIsDue = false;
function drawRestSoon() {
  if (restIsDue) return;
  restIsDue = true;
  setTimeout(() => {
    restIsDue = false;
    for (const view of Object.values(views)) view.update();
  }, 300);
}

feed.addEventListener("added", drawSoon);
feed.addEventListener("status", () => header.draw());
filter.addEventListener("change", () => {
  syncControls();
  showView();
  events.refilter();
  drawSoon();
});
setInterval(() => sessions.draw(), 1000);

function syncControls() {
  for (const [id, key] of [["text", "text"], ["name", "name"], ["min", "min"], ["x", "x"]]) {
    if (by(id).value !== filter[key]) by(id).value = filter[key];
  }
  by("order").textContent = filter.order === "newest" ? "Newest first" : "Oldest first";
  by("clear").hidden = !filter.isActive;
  const session = store.sessions.get(filter.session);
  by("only").hidden = !filter.session;
  by("only").textContent = filter.session ? `Session ${session?.id ?? filter.session} ×` : "";
}

function showView() {
  document.body.dataset.view = filter.view;
  for (const view of VIEWS) {
    const isShown = view === filter.view;
    by(`tab-${view}`).setAttribute("aria-selected", String(isShown));
    by(`tab-${view}`).tabIndex = isShown ? 0 : -1;
    by(`view-${view}`).hidden = !isShown;
    if (view in views && isShown !== views[view].isOpen) views[view][isShown ? "show" : "hide"]();
  }
}

for (const id of ["text", "name", "min", "x"]) by(id).addEventListener("input", ({ target }) => filter.set({ [id]: target.value }));
const turn = () => {
  events.follows = true;
  filter.set({ order: filter.order === "newest" ? "oldest" : "newest" });
};
by("order").addEventListener("click", turn);
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
by("only").addEventListener("click", () => filter.set({ session: "" }));
const clearAll = () => filter.set({ text: "", name: "", min: "", session: "" });
by("clear").addEventListener("click", clearAll);
by("clear-none").addEventListener("click", clearAll);
by("export").addEventListener("click", () => save(events.shown));
by("file").addEventListener("change", ({ target }) => take(target.files));
by("open").addEventListener("click", () => by("file").click());
for (const view of VIEWS) by(`tab-${view}`).addEventListener("click", () => filter.set({ view }));
by("tabs").addEventListener("keydown", ({ key }) => {
  const turns = { ArrowRight: 1, ArrowLeft: VIEWS.length - 1 }[key];
  if (!turns) return;
  const view = VIEWS[(VIEWS.indexOf(filter.view) + turns) % VIEWS.length];
  filter.set({ view });
  by(`tab-${view}`).focus();
});

async function take(files) {
  const { events: came, skipped } = await feed.import(files);
  say(`${plural(came, "event")} read${skipped ? `, ${plural(skipped, "line")} skipped: torn, or no events` : ""}`);
}

let saying = 0;
function say(text) {
  by("toast").textContent = text;
  by("toast").hidden = false;
  clearTimeout(saying);
  saying = setTimeout(() => (by("toast").hidden = true), 6000);
}

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length) take(event.dataTransfer.files);
});

const KEYS = {
  f: () => events.follow(),
  o: turn,
  t: () => by("theme").click(),
  e: () => by("export").click(),
  "/": () => by("text").focus(),
  1: () => filter.set({ view: "events" }),
  2: () => filter.set({ view: "curves" }),
  3: () => filter.set({ view: "spans" }),
  "?": () => by("help").showModal(),
};
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !by("help").open) {
    if (document.activeElement?.matches("input, select")) by("events").focus();
    else if (detail.row) detail.close();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.activeElement?.matches("input, select, dialog *")) return;
  if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});
by("help-open").addEventListener("click", () => by("help").showModal());
by("help-close").addEventListener("click", () => by("help").close());

theme();
syncControls();
showView();
for (const slot of document.querySelectorAll("[data-command]")) slot.append(copyable(slot.dataset.command.replace("{page}", location.origin)));
feed.start();
