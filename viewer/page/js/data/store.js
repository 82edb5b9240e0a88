// Everything that arrived, as rows in the order of arrival.

import { SEVERITIES } from "./filter.js";
import { Session } from "./session.js";

const MAX_ROWS = 100_000; // as many as the viewer itself keeps
const SLACK = 5_000; // forgotten at once, so that forgetting is rare
const COLOURS = 8;

export class Store {
  constructor() {
    this.clear();
  }

  clear() {
    this.rows = [];
    this.sessions = new Map();
    this.byId = new Map();
    this.forgotten = 0;
    this.skipped = 0;
    this.events = 0;
    this.bytes = 0;
    this.joinedLate = false;
    this.revision = (this.revision ?? 0) + 1; // grows when rows change or go, not when they are added
  }

  // Takes one line, as the viewer keeps it. `isLive` is false for what a file holds.
  add(text, isLive) {
    let line;
    try {
      line = JSON.parse(text);
    } catch {
      this.skipped += 1;
      return;
    }
    if (line?.events && line.session_id && Array.isArray(line.events)) {
      const { events, ...head } = line;
      for (const event of events) this.#event({ ...head, event }, null, isLive);
    } else if (typeof line?.event?.event === "string") {
      this.#event(line, text, isLive);
    } else if (typeof line?.event === "string") {
      this.#event({ session_id: "imported", event: line }, null, isLive);
    } else if (line?.other) {
      this.#other(line, text);
    } else {
      this.skipped += 1;
    }
    if (this.rows.length > MAX_ROWS + SLACK) this.#forget();
  }

  #event(line, text, isLive) {
    const event = line.event;
    text ??= JSON.stringify(line);
    this.bytes += text.length;
    const session = this.#session(line);
    session.bytes += text.length;
    session.isLive ||= isLive;
    session.heard = Math.max(session.heard, line.received ?? 0);
    const attempt = { retry: line.retry ?? 0, status: line.status ?? 200 };

    const known = event.event_id && this.byId.get(event.event_id);
    if (known) {
      known.attempts.push(attempt);
      this.revision += 1;
      return;
    }
    const name = event.event_name ?? event.event;
    const row = {
      kind: "event",
      type: event.event,
      name,
      level: Math.max(0, SEVERITIES.indexOf(event.severity)),
      time: Date.parse(event.timestamp) || line.received || 0,
      session,
      text,
      search: searchable(text),
      summary: null,
      attempts: [attempt],
    };
    if (event.event_id) this.byId.set(event.event_id, row);
    if (Number.isInteger(event.event_session_index)) {
      const gap = session.gapBefore(event.event_session_index, this.joinedLate);
      if (gap) this.rows.push({ kind: "gap", gap, session, time: row.time, level: 4, name: "", isLive });
    }
    session.add(row, event);
    this.events += 1;
    this.rows.push(row);
  }

  #other(line, text) {
    const { method, path, bytes, why } = line.other;
    this.bytes += bytes;
    this.rows.push({
      kind: "other",
      type: "REQUEST",
      name: `${method} ${path}`,
      level: line.status >= 400 || !line.status ? 2 : 0,
      time: line.received,
      session: null,
      text,
      search: text,
      summary: `not telemetry: ${why}${line.status < 300 && line.status ? `, answered ${line.status}` : ""}`,
      attempts: [{ retry: 0, status: line.status }],
    });
  }

  #session(line) {
    const key = line.process_uuid ? `${line.session_id}~${line.process_uuid.slice(0, 8)}` : String(line.session_id);
    let session = this.sessions.get(key);
    if (!session) this.sessions.set(key, (session = new Session(key, line, this.sessions.size % COLOURS)));
    return session;
  }

  #forget() {
    const gone = this.rows.splice(0, this.rows.length - MAX_ROWS);
    for (const row of gone) {
      const id = row.kind === "event" && parsed(row).event.event_id;
      if (id) this.byId.delete(id);
    }
    this.forgotten += gone.length;
    this.revision += 1;
  }
}

// A row's line, read again: rows keep the text alone, which is what an export writes.
export const parsed = (row) => JSON.parse(row.text);

// What a reader would search for: the event, without what the viewer put around it.
function searchable(text) {
  const at = text.indexOf('"event":{');
  return at > 0 ? text.slice(at + 8, -1) : text;
}

export function summary(row) {
  if (row.summary !== null) return row.summary;
  const { event } = parsed(row);
  if (event.error_type) row.summary = `${event.error_type}: ${event.error_message ?? ""}`;
  else if (event.duration) row.summary = `after ${event.duration.replace(/(\.\d{3})\d*$/, "$1")}`;
  else row.summary = Object.entries(event.event_data ?? {}).slice(0, 12).map(([key, value]) => `${key}\u2009=\u2009${brief(value)}`).join("   ");
  return row.summary;
}

function brief(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 80 ? text.slice(0, 79) + "…" : text;
}
