// The list of sessions: state, duration, counts. A press shows that session alone.

import { bytes, clock, count, duration, plural } from "../data/format.js";
import { SEVERITIES } from "../data/filter.js";
import { by, h } from "./dom.js";

const WORDS = { running: "running", ended: "ended", failed: "ended by an exception", silent: "gone silent", kept: "from a file" };

export class Sessions {
  constructor(store, filter) {
    this.store = store;
    this.filter = filter;
    this.cards = new Map();
  }

  draw() {
    const list = by("sessions");
    const now = Date.now();
    for (const key of this.cards.keys()) {
      if (!this.store.sessions.has(key)) {
        this.cards.get(key).remove();
        this.cards.delete(key);
      }
    }
    for (const session of this.store.sessions.values()) {
      let card = this.cards.get(session.key);
      if (!card) {
        card = this.#card(session);
        this.cards.set(session.key, card);
        list.prepend(card);
      }
      this.#fill(card, session, now);
    }
    by("sessions-count").textContent = this.store.sessions.size || "";
    by("sessions-empty").hidden = this.store.sessions.size > 0;
  }

  #card(session) {
    const part = (name) => h("span", { class: name });
    const button = h(
      "button",
      {
        type: "button",
        class: `session c${session.colour}`,
        onclick: () => this.filter.set({ session: this.filter.session === session.key ? "" : session.key }),
      },
      h("span", { class: "session-name" }, h("i", { class: "dot" }), h("b", {}, session.id)),
      h("span", { class: "session-line" }, part("badge"), part("took")),
      h("span", { class: "session-line" }, part("counts"), part("size")),
      part("trouble"),
      part("about"),
    );
    return h("li", {}, button);
  }

  #fill(card, session, now) {
    const button = card.firstChild;
    const state = session.state(now);
    const set = (name, text) => {
      const element = button.querySelector(`.${name}`);
      if (element.textContent !== text) element.textContent = text;
    };
    set("badge", WORDS[state]);
    button.dataset.state = state;
    set("took", duration(session.duration(now)));
    set("counts", plural(session.events, "event"));
    set("size", bytes(session.bytes));
    const trouble = SEVERITIES.map((name, level) => [name, session.levels[level]])
      .filter(([, number], level) => level >= 2 && number)
      .map(([name, number]) => `${count(number)} ${name.toLowerCase()}`);
    if (session.lost) trouble.push(`${count(session.lost)} lost`);
    set("trouble", trouble.join(" · "));
    set("about", [clock(session.first).slice(0, 8), session.sdk && `SDK ${session.sdk}`, session.platform, session.process.slice(0, 4)].filter(Boolean).join(" · "));
    button.setAttribute("aria-pressed", String(this.filter.session === session.key));
  }
}
