// One event whole: what is around it, its data as a tree, its traceback folded.

import { SEVERITIES } from "../data/filter.js";
import { clock } from "../data/format.js";
import { parsed } from "../data/store.js";
import { by, copyable, h } from "./dom.js";
import { answer, badges, gapText } from "./events.js";

const OPEN_DEPTH = 2;
const MANY = 200; // children shown of one value; more would make the page slow
const OURS = 6; // lines of a traceback that show without unfolding

export class Detail {
  constructor(filter) {
    this.filter = filter;
    this.row = null;
    by("detail-close").addEventListener("click", () => this.close());
  }

  close() {
    by("detail").hidden = true;
    document.body.classList.remove("has-detail");
    this.row = null;
    by("events").focus({ preventScroll: true });
  }

  open(row) {
    this.row = row;
    by("detail").hidden = false;
    document.body.classList.add("has-detail");
    const body = by("detail-body");
    body.scrollTop = 0;
    by("detail-name").textContent = row.kind === "gap" ? "Loss" : row.name;
    if (row.kind === "gap") body.replaceChildren(...lossParts(row));
    else if (row.kind === "other") body.replaceChildren(facts(otherFacts(row)), tree(parsed(row).other));
    else body.replaceChildren(...this.#event(row));
  }

  #event(row) {
    const line = parsed(row);
    const { event } = line;
    const parts = [h("p", { class: `headline l${row.level}` }, h("span", { class: "level" }, SEVERITIES[row.level]), ...badges(row))];
    if (event.error_type) {
      parts.push(h("p", { class: "error" }, h("b", {}, event.error_type), h("span", {}, event.error_message ?? "")));
    }
    if (event.traceback) parts.push(traceback(event.traceback));
    if (event.event_data) parts.push(h("h3", {}, "Data"), tree(event.event_data));
    parts.push(h("h3", {}, "Event"), facts(this.#facts(row, line)));
    parts.push(h("details", { class: "raw" }, h("summary", {}, "As it was sent"), copyable(row.text)));
    return parts;
  }

  #facts(row, line) {
    const { event } = line;
    const only = (label, change) => h("button", { type: "button", class: "link", onclick: () => this.filter.set(change) }, label);
    return [
      ["Time", clock(row.time)],
      ["Sent as", event.timestamp ?? "none given"],
      ["Name", only(row.name, { name: row.name })],
      ["Session", only(line.session_id ?? "", { session: row.session.key })],
      ["Number", event.event_session_index],
      ["Duration", event.duration],
      ["Attempts", row.attempts.map(answer).join(", then ")],
      ["Event id", event.event_id],
      ["Process", line.process_uuid],
      ["From", [line.sdk_version && `SDK ${line.sdk_version}`, line.platform].filter(Boolean).join(", ")],
    ];
  }
}

function lossParts(row) {
  return [
    h("p", { class: "error" }, h("b", {}, gapText(row)), h("span", {}, `session ${row.session.id}`)),
    h("p", { class: "prose" }, "Each event of a session has a number. These numbers did not arrive: the reporter refused or dropped them, or the process ended before they were sent. Its stats() says the reason."),
  ];
}

function otherFacts(row) {
  const { other, status } = parsed(row);
  return [["Time", clock(row.time)], ["Request", `${other.method} ${other.path}`], ["Answer", status || "none"], ["Bytes", other.bytes]];
}

function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return h("dl", {}, ...known.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value instanceof Node ? value : String(value))]));
}

// The last lines say what happened; the frames are a press away.
function traceback(text) {
  const lines = text.trimEnd().split("\n");
  const all = h("pre", { class: "traceback", tabindex: "0" }, lines.join("\n"));
  if (lines.length <= OURS) return all;
  return h("details", { class: "fold" }, h("summary", {}, `Traceback, ${lines.length} lines`), all);
}

function tree(value) {
  return h("div", { class: "tree" }, ...children(value, 0));
}

function children(value, depth) {
  const entries = Array.isArray(value) ? value.map((child, at) => [at, child]) : Object.entries(value ?? {});
  const nodes = entries.slice(0, MANY).map(([key, child]) => node(key, child, depth));
  if (entries.length > MANY) nodes.push(h("p", { class: "more" }, `${entries.length - MANY} more in the text below`));
  if (!entries.length) nodes.push(h("p", { class: "more" }, "empty"));
  return nodes;
}

function node(key, value, depth) {
  const label = h("span", { class: "key" }, String(key));
  if (value === null || typeof value !== "object") {
    const kind = value === null ? "null" : typeof value;
    return h("div", { class: "leaf" }, label, h("span", { class: `value ${kind}` }, kind === "string" ? value : String(value)));
  }
  const size = Array.isArray(value) ? `[${value.length}]` : `{${Object.keys(value).length}}`;
  const folded = h("details", { open: depth < OPEN_DEPTH }, h("summary", {}, label, h("span", { class: "size" }, size)));
  const fill = () => folded.children.length === 1 && folded.append(h("div", { class: "branch" }, ...children(value, depth + 1)));
  if (depth < OPEN_DEPTH) fill();
  folded.addEventListener("toggle", fill);
  return folded;
}
