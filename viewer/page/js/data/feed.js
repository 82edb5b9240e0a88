// The way in and out: the viewer's backlog and live events, files that are dropped, and the export.

const SLICE_MS = 40; // as long as the page may be busy at a stretch while it takes much at once

export class Feed extends EventTarget {
  constructor(store) {
    super();
    this.store = store;
    this.status = { outage: "back" };
    this.state = "connecting";
  }

  async start() {
    try {
      const answer = await fetch("/_viewer/events");
      const position = answer.headers.get("x-position");
      const status = await (await fetch("/_viewer/status")).json();
      this.store.joinedLate = status.forgotten > 0;
      this.#status(status);
      await this.#take(answer.body, true);
      this.#listen(position);
    } catch {
      this.#say("gone");
      setTimeout(() => this.start(), 2000);
    }
  }

  #listen(position) {
    const source = new EventSource(`/_viewer/live?after=${encodeURIComponent(position)}`);
    source.onopen = () => this.#say("live");
    source.onerror = () => this.#say("gone"); // it tries again by itself
    source.onmessage = ({ data }) => {
      for (const line of data.split("\n")) this.store.add(line, true);
      this.#added();
    };
    source.addEventListener("status", ({ data }) => this.#status(JSON.parse(data)));
    source.addEventListener("restart", () => {
      this.store.clear(); // another viewer's events come next, from their beginning
      this.#added();
    });
  }

  async #take(stream, isLive) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let since = performance.now();
    for (;;) {
      const { value, done } = await reader.read();
      const lines = (rest + (value ?? "")).split("\n");
      rest = done ? "" : lines.pop();
      for (const line of lines) if (line.trim()) this.store.add(line, isLive);
      if (performance.now() - since > SLICE_MS || done) {
        this.#added();
        if (done) return;
        await new Promise((resolve) => setTimeout(resolve));
        since = performance.now();
      }
    }
  }

  // Reads files of lines. Answers how many events came, and how many lines were no events.
  async import(files) {
    const before = { events: this.store.events, skipped: this.store.skipped };
    for (const file of files) await this.#take(file.stream(), false);
    return { events: this.store.events - before.events, skipped: this.store.skipped - before.skipped };
  }

  async outage(word) {
    await fetch("/_viewer/outage", { method: "POST", body: word });
  }

  #added() {
    this.dispatchEvent(new Event("added"));
  }

  #status(status) {
    this.status = status;
    this.dispatchEvent(new Event("status"));
  }

  #say(state) {
    this.state = state;
    this.dispatchEvent(new Event("status"));
  }
}

export function save(rows) {
  const lines = rows.filter((row) => row.text).map((row) => row.text + "\n");
  const url = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "telemetry.jsonl";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
