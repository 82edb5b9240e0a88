// One session of one process: its state, its counts, its gaps, its curves, its spans.

import { parseDuration } from "./format.js";

const SILENT_AFTER = 60_000; // reporters flush every 10 s; a program that says nothing for a minute may be gone
const MAX_POINTS = 100_000;
const DEPTH = 3;
const SPAN = /^(.*)\.(start|stop|exception)$/;

export class Session {
  constructor(key, line, colour) {
    this.key = key;
    this.id = line.session_id ?? "unknown";
    this.process = line.process_uuid ?? "";
    this.platform = line.platform ?? "";
    this.sdk = line.sdk_version ?? "";
    this.colour = colour;
    this.levels = [0, 0, 0, 0, 0];
    this.events = 0;
    this.lost = 0;
    this.bytes = 0;
    this.first = Infinity;
    this.last = -Infinity;
    this.heard = 0;
    this.next = null;
    this.gaps = [];
    this.ended = null;
    this.failed = false;
    this.isLive = false;
    this.series = new Map();
    this.spans = [];
    this.open = new Map();
  }

  add(row, event) {
    this.events += 1;
    this.levels[row.level] += 1;
    this.first = Math.min(this.first, row.time);
    this.last = Math.max(this.last, row.time);
    if (event.event === "SESSION_END") this.ended = parseDuration(event.duration);
    if (event.event === "UNHANDLED_EXCEPTION") this.failed = row.level >= 3;
    const data = event.event_data;
    if (data && typeof data === "object") {
      this.#points(row, data);
      this.#span(row, event.event_name ?? "", data);
    }
  }

  state(now) {
    if (this.ended !== null) return this.failed ? "failed" : "ended";
    if (!this.isLive) return "kept";
    return now - this.heard > SILENT_AFTER ? "silent" : "running";
  }

  duration(now) {
    if (this.ended >= 0 && this.ended !== null) return this.ended;
    return this.state(now) === "running" ? now - this.first : this.last - this.first;
  }

  // The gap that opens before this number, or null. A number that comes late makes its gap smaller.
  gapBefore(index, joinedLate) {
    const expected = this.next ?? (joinedLate ? index : 0);
    this.next = Math.max(this.next ?? 0, index + 1);
    if (index > expected) {
      const gap = { from: expected, to: index - 1, missing: index - expected };
      this.gaps.push(gap);
      this.lost += gap.missing;
      return gap;
    }
    if (index < expected) {
      const gap = this.gaps.find((gap) => gap.from <= index && index <= gap.to && gap.missing > 0);
      if (gap) {
        gap.missing -= 1;
        this.lost -= 1;
      }
    }
    return null;
  }

  #points(row, data) {
    const step = [data.step, data.measurements?.step, data.metadata?.step].find((step) => typeof step === "number") ?? null;
    const visit = (value, path, depth) => {
      if (typeof value === "number") {
        if (path === "step" || path.endsWith(".step")) return;
        const key = `${row.name}\u0000${path}`;
        let series = this.series.get(key);
        if (!series) this.series.set(key, (series = { name: row.name, path, steps: [], times: [], values: [] }));
        series.steps.push(step);
        series.times.push(row.time / 1000);
        series.values.push(value);
        if (series.values.length > MAX_POINTS) thin(series);
      } else if (depth < DEPTH && value && typeof value === "object" && !Array.isArray(value)) {
        for (const field in value) visit(value[field], path ? `${path}.${field}` : field, depth + 1);
      }
    };
    visit(data, "", 0);
  }

  // Starts wait for their stop; a span's id pairs them where there is one, else the last start of the name.
  #span(row, name, data) {
    const parts = SPAN.exec(name);
    if (!parts) return;
    const [, base, end] = parts;
    const id = `${base}\u0000${data.span_id ?? data.metadata?.span_id ?? data.request_id ?? data.metadata?.request_id ?? ""}`;
    if (end === "start") {
      const span = { name: base, from: row.time, to: null, failed: false, row, session: this };
      this.spans.push(span);
      const open = this.open.get(id);
      if (open) open.push(span);
      else this.open.set(id, [span]);
      return;
    }
    const took = milliseconds(data);
    const open = this.open.get(id)?.pop();
    const span = open ?? { name: base, from: row.time - (took || 0), row, session: this };
    if (!open) this.spans.push(span);
    span.to = took >= 0 ? span.from + took : row.time;
    span.failed = end === "exception";
    span.row = row;
  }
}

// The bridges report measurements as Tinkex does: a duration in nanoseconds.
function milliseconds(data) {
  if (typeof data.measurements?.duration === "number") return data.measurements.duration / 1e6;
  for (const [field, scale] of [["duration_ms", 1], ["duration_us", 1e-3], ["duration_s", 1000], ["elapsed_ms", 1]]) {
    if (typeof data[field] === "number") return data[field] * scale;
  }
  if (typeof data.duration === "number") return data.duration * 1000;
  return typeof data.duration === "string" ? parseDuration(data.duration) : NaN;
}

// Keeps every second point, so that a long run stays whole at half the detail.
function thin(series) {
  for (const field of ["steps", "times", "values"]) series[field] = series[field].filter((_, at) => at % 2 === 0);
}
