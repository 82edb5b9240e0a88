// What is shown. All of it is in the URL, so that a link or a reload shows the same.

export const SEVERITIES = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

const DEFAULTS = { min: "", name: "", session: "", text: "", order: "newest", view: "events", x: "step" };

export class Filter extends EventTarget {
  constructor() {
    super();
    this.read();
    addEventListener("popstate", () => {
      this.read();
      this.dispatchEvent(new Event("change"));
    });
  }

  read() {
    const url = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(DEFAULTS)) this[key] = url.get(key) ?? value;
    this.prepare();
  }

  set(changes) {
    Object.assign(this, changes);
    const url = new URLSearchParams();
    for (const [key, value] of Object.entries(DEFAULTS)) if (this[key] !== value) url.set(key, this[key]);
    history.replaceState(null, "", url.size ? `?${url}` : location.pathname);
    this.prepare();
    this.dispatchEvent(new Event("change"));
  }

  get isActive() {
    return Boolean(this.min || this.name || this.session || this.text);
  }

  prepare() {
    this.level = Math.max(0, SEVERITIES.indexOf(this.min));
    const literal = this.text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    this.pattern = this.text ? new RegExp(literal, "i") : null;
    this.prefix = this.name.toLowerCase();
  }

  shows(row) {
    if (this.session && row.session?.key !== this.session) return false;
    if (row.kind === "gap") return row.gap.missing > 0 && !this.prefix && !this.pattern;
    if (this.level && row.level < this.level) return false;
    if (this.prefix && !row.name.toLowerCase().includes(this.prefix)) return false;
    return !this.pattern || this.pattern.test(row.search);
  }
}
