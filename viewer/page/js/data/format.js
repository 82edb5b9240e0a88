// Numbers, times and sizes as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (n) => whole.format(n).replaceAll(",", "\u202f");

export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  const units = ["KB", "MB", "GB"];
  let at = -1;
  do {
    n /= 1000;
    at += 1;
  } while (n >= 999.5 && at < units.length - 1);
  return `${n.toFixed(n < 10 ? 1 : 0)} ${units[at]}`;
}

export function duration(ms) {
  if (!(ms >= 0)) return "";
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m}m ${Math.floor(s % 60)}s`;
  return `${Math.floor(m / 60)}h ${m % 60}m`;
}

// The wire's duration, `H:MM:SS.ffffff` with unbounded hours, in milliseconds.
export function parseDuration(text) {
  const parts = /^(?:(\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d+)?)$/.exec(text ?? "");
  if (!parts) return NaN;
  const [, days, h, m, s] = parts;
  return (((Number(days ?? 0) * 24 + Number(h)) * 60 + Number(m)) * 60 + Number(s)) * 1000;
}

const two = (n) => String(n).padStart(2, "0");

// Time of day in the reader's zone, to the millisecond.
export function clock(ms) {
  const t = new Date(ms);
  if (Number.isNaN(t.getTime())) return "";
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${String(t.getMilliseconds()).padStart(3, "0")}`;
}

export function number(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return "–";
  if (Number.isInteger(n) && Math.abs(n) < 1e9) return count(n);
  const size = Math.abs(n);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? n.toExponential(2) : String(Number(n.toPrecision(4)));
}
