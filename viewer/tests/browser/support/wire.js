// Requests as the library sends them.

import { randomUUID } from "node:crypto";

export class Program {
  constructor(url, session = "session-0001", process = randomUUID()) {
    Object.assign(this, { url, session, process, index: 0, sent: [], clock: Date.now() });
  }

  event(fields) {
    const event = {
      event: "GENERIC_EVENT",
      event_id: randomUUID(),
      event_session_index: this.index++,
      severity: "INFO",
      timestamp: new Date(this.clock).toISOString().replace("Z", "000Z"),
      ...fields,
    };
    this.clock += 10;
    return event;
  }

  log(event_name, event_data = {}, severity = "INFO") {
    return this.event({ event_name, event_data, severity });
  }

  started() {
    return this.event({ event: "SESSION_START" });
  }

  ended(duration = "0:00:12.345678") {
    return this.event({ event: "SESSION_END", duration });
  }

  failed(error_type, error_message, traceback, severity = "ERROR") {
    return this.event({ event: "UNHANDLED_EXCEPTION", error_type, error_message, traceback, severity });
  }

  // A number that is used up and never sent.
  lose(count = 1) {
    this.index += count;
  }

  async send(events, headers = {}) {
    const body = JSON.stringify({ events, platform: "Linux", sdk_version: "0.1.0", session_id: this.session, process_uuid: this.process });
    const answer = await fetch(`${this.url}/api/v1/telemetry`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": "tml-secret-key", "x-stainless-retry-count": "0", ...headers },
      body,
    });
    await answer.arrayBuffer();
    this.sent.push(...events);
    return answer.status;
  }
}
