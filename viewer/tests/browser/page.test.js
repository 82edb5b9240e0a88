// Keeps the page, in a real browser: what a user sees, does and exports.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { findBrowser, launch } from "./support/browser.js";
import { startViewer } from "./support/viewer.js";
import { Program } from "./support/wire.js";

const chromium = await findBrowser();
const skip = chromium === null;
let browser, viewer, page, folder, errors;

before(async () => {
  if (!skip) browser = await launch(chromium);
});
after(() => browser?.close());
beforeEach(async () => {
  if (skip) return;
  viewer = await startViewer();
  folder = await mkdtemp(join(tmpdir(), "viewer-"));
  errors = [];
  await open("/");
});
afterEach(async () => {
  if (skip) return;
  await page.context().close();
  await viewer.stop();
  await rm(folder, { recursive: true });
  assert.deepEqual(errors, [], "errors in the page");
});

async function open(path, options = {}) {
  await page?.context().close();
  page = await browser.newPage({ viewport: { width: 1400, height: 800 }, acceptDownloads: true, ...options });
  page.setDefaultTimeout(10_000);
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(viewer.url + path);
  await page.waitForSelector('#state[data-state="live"]', { state: "attached" });
}

const names = () => page.locator(".row.event .name").allTextContents();
const shows = (text, selector = ".row") => page.locator(selector, { hasText: text }).first().waitFor();
const rows = (text) => page.waitForFunction((text) => document.querySelector("#shown").textContent === text, text);

async function sendThree() {
  const program = new Program(viewer.url);
  await program.send([program.log("train.step", { step: 1, loss: 0.5 }, "DEBUG"), program.log("checkpoint.saved", { path: "Runs/A" }), program.log("disk.full", { left: 0 }, "ERROR")]);
  return program;
}

async function exported() {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
  const path = join(folder, "out.jsonl");
  await download.saveAs(path);
  return { path, lines: (await readFile(path, "utf8")).trimEnd().split("\n").map((line) => JSON.parse(line)) };
}

test("says what to run while nothing is there, and shows events as they arrive, newest first", { skip }, async () => {
  await shows(`TINKER_BASE_URL=${viewer.url} python train.py`, "#events-empty code");
  await sendThree();
  await rows("3 rows");
  assert.deepEqual(await names(), ["disk.full", "checkpoint.saved", "train.step"]);
  assert.equal(await page.locator("#events-empty").isVisible(), false);
  await page.keyboard.press("o");
  assert.deepEqual(await names(), ["train.step", "checkpoint.saved", "disk.full"]);
});

test("filters by severity, name, text and session, and keeps them in the URL", { skip }, async () => {
  await sendThree();
  const other = new Program(viewer.url, "session-0002");
  await other.send([other.log("train.step", { step: 1 })]);
  await rows("4 rows");
  for (const [id, value, expected] of [["min", "ERROR", ["disk.full"]], ["name", "checkpoint", ["checkpoint.saved"]], ["text", "runs/a", ["checkpoint.saved"]]]) {
    await (id === "min" ? page.selectOption("#min", value) : page.fill(`#${id}`, value));
    await rows("1 row of 4");
    assert.deepEqual(await names(), expected, id);
    assert.match(page.url(), new RegExp(`[?&]${id}=`));
    await page.reload();
    await rows("1 row of 4");
    assert.deepEqual(await names(), expected, `${id} after a reload`);
    await page.click("#clear");
    await rows("4 rows");
  }
  await page.click(".session >> text=session-0002");
  await rows("1 row of 4");
  assert.equal(await page.locator(".session[aria-pressed=true]").count(), 1);
  await page.fill("#text", "nowhere to be found");
  await shows("No event matches", "#events-none");
});

test("shows a missing number as a loss, and takes it back if the event comes late", { skip }, async () => {
  const program = new Program(viewer.url);
  const first = program.log("a");
  const late = program.log("late");
  program.lose(2);
  await program.send([first, program.log("b")]);
  await shows("3 events never came · numbers 1 to 3", ".row.gap");
  await shows("3 lost", ".session");
  await program.send([late]);
  await shows("2 events never came", ".row.gap");
  await shows("2 lost", ".session");
});

test("shows retries and duplicates as what they are", { skip }, async () => {
  const program = new Program(viewer.url);
  const retried = program.log("retried");
  const twice = program.log("twice");
  await program.send([twice]);
  await program.send([twice]);
  await page.click('#outage [data-word="503"]');
  await page.waitForSelector('[data-word="503"][aria-pressed="true"]');
  assert.equal(await program.send([retried]), 503);
  await shows("answered 503", ".row .refused");
  await page.click('#outage [data-word="back"]');
  await page.waitForSelector('[data-word="back"][aria-pressed="true"]');
  assert.equal(await program.send([retried], { "x-stainless-retry-count": "1" }), 200);
  await page.locator(".row", { hasText: "retried" }).locator(".retry").waitFor();
  await page.locator(".row", { hasText: "twice" }).locator(".twice").waitFor();
  assert.equal(await page.locator(".row").count(), 2);
  assert.equal(await page.locator(".row .refused").count(), 0);
});

test("draws a curve for each numeric field with both runs over the step, and their last values", { skip }, async () => {
  for (const session of ["run-a", "run-b"]) {
    const program = new Program(viewer.url, session);
    await program.send([0, 1, 2].map((step) => program.log("train.step", { step, loss: session === "run-a" ? 3 - step : 5 - step, nested: { rate: step } })));
  }
  await page.click("#tab-curves");
  const card = page.locator("#curves-grid .card", { hasText: "loss" });
  await card.locator("canvas").waitFor();
  assert.match(await card.locator(".chart").getAttribute("aria-label"), /loss over step, 2 runs, 3 points/);
  assert.deepEqual(await card.locator("tbody tr").allTextContents(), ["run-a113", "run-b335"]);
  await page.locator("#curves-grid .card", { hasText: "nested.rate" }).locator("canvas").waitFor();
  const ink = await card.locator("canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const near = ([r, g, b], at) => Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) < 40 && data[at + 3] > 200;
    const count = (colour) => [...Array(data.length / 4).keys()].filter((pixel) => near(colour, pixel * 4)).length;
    return [count([0x1f, 0x7a, 0x6c]), count([0xc2, 0x63, 0x2b])];
  });
  assert.ok(ink.every((pixels) => pixels > 50), `pixels of the two runs: ${ink}`);
});

test("shows spans with their durations", { skip }, async () => {
  const program = new Program(viewer.url);
  await program.send([program.log("eval.start", { span_id: 1 }), program.log("eval.stop", { span_id: 1, measurements: { duration: 1_500_000_000 } }), program.log("load.start")]);
  await page.click("#tab-spans");
  await page.locator('.bar[aria-label="eval, 1.5 s"]').waitFor();
  await page.locator('.bar.open[aria-label="load, no end yet"]').waitFor();
});

test("shows an exception with its traceback folded, and the session as ended by it", { skip }, async () => {
  const program = new Program(viewer.url);
  const traceback = Array.from({ length: 20 }, (_, at) => `frame ${at}`).join("\n");
  await program.send([program.started(), program.failed("RuntimeError", "it broke", traceback), program.ended("0:00:01.500000")]);
  await shows("ended by an exception", ".session");
  await shows("1.5 s", ".session");
  await page.click(".row.l3");
  const folded = page.locator(".traceback");
  assert.equal(await folded.isVisible(), false);
  await page.click(".fold summary");
  assert.equal(await folded.textContent(), traceback);
});

test("hostile text is text: nothing runs, nothing is markup", { skip }, async () => {
  const hostile = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>`;
  const program = new Program(viewer.url, hostile);
  await program.send([program.log(hostile, { [hostile]: hostile, "__proto__x": 1, list: [hostile] }), program.failed(hostile, hostile, hostile + "\n".repeat(9) + hostile)]);
  await rows("2 rows");
  for (const kind of [".l1", ".l3"]) {
    await page.click(`.row${kind}`);
    await page.click("#tab-curves");
    await page.click("#tab-events");
    assert.equal(await page.locator(".body img, .body script").count(), 0);
  }
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal((await names()).at(-1), hostile);
});

test("exports what was sent, what is shown alone, and reads it again by a drop", { skip }, async () => {
  const program = await sendThree();
  await rows("3 rows");
  const whole = await exported();
  assert.deepEqual(whole.lines.map((line) => line.event), program.sent);
  await page.fill("#name", "disk");
  await rows("1 row of 3");
  assert.deepEqual((await exported()).lines.map((line) => line.event), [program.sent[2]]);

  await viewer.stop();
  viewer = await startViewer();
  errors.length = 0; // the first viewer is gone on purpose
  await open("/");
  errors = [];
  const text = `${JSON.stringify(whole.lines[0])}\n${JSON.stringify(whole.lines[1])}\n{"torn":\n{"of":"another format"}\n`;
  await page.evaluate((text) => {
    const data = new DataTransfer();
    data.items.add(new File([text], "run.jsonl"));
    window.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  }, text);
  await shows("2 events read, 2 lines skipped", "#toast");
  assert.deepEqual(await names(), ["checkpoint.saved", "train.step"]);
  await shows("from a file", ".session");
});

test("pauses when the reader scrolls away, counts what is new, and follows again by a key", { skip }, async () => {
  const program = new Program(viewer.url);
  await program.send(Array.from({ length: 300 }, (_, at) => program.log(`event.${at}`)));
  await rows("300 rows");
  await page.evaluate(() => (document.querySelector("#events").scrollTop = 3200));
  await shows("Paused", "#follow");
  const seen = () => page.evaluate(() => document.elementFromPoint(700, 400).closest(".row").textContent);
  const before = await seen();
  await program.send([program.log("newest")]);
  await shows("1 new event", "#follow");
  assert.equal(await seen(), before, "what is looked at stays where it is");
  await page.keyboard.press("f");
  await shows("newest");
  assert.equal(await page.locator("#follow").isVisible(), false);
});

test("works by the keyboard alone", { skip }, async () => {
  await sendThree();
  await rows("3 rows");
  await page.keyboard.press("/");
  await page.keyboard.type("loss");
  await rows("1 row of 3");
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.textContent("#detail-name"), "train.step");
  const active = await page.getAttribute("#events", "aria-activedescendant");
  assert.equal(await page.getAttribute(`#${active}`, "aria-selected"), "true");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#detail").isVisible(), false);
  await page.keyboard.press("2");
  assert.equal(await page.locator("#view-curves").isVisible(), true);
  await page.keyboard.press("?");
  assert.equal(await page.locator("#help").isVisible(), true);
});

test("every control has a name for a screen reader", { skip }, async () => {
  await sendThree();
  await rows("3 rows");
  await page.click(".row");
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll("button, input, select, [role=listbox], [role=img], nav, aside")]
      .filter((element) => !element.hidden && element.type !== "file")
      .filter((element) => !(element.textContent.trim() || element.getAttribute("aria-label") || element.labels?.length))
      .map((element) => element.outerHTML),
  );
  assert.deepEqual(nameless, []);
});

test("is dark where the system is, and as the user says", { skip }, async () => {
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(await background(), "rgb(247, 245, 240)");
  await open("/", { colorScheme: "dark" });
  assert.equal(await background(), "rgb(20, 23, 26)");
  await page.click("#theme");
  assert.equal(await background(), "rgb(247, 245, 240)");
  await page.reload();
  assert.equal(await background(), "rgb(247, 245, 240)", "the choice outlives a reload");
});

test("a narrow window scrolls nowhere sideways", { skip }, async () => {
  await sendThree();
  for (const path of ["/", "/?view=curves", "/?view=spans"]) {
    await open(path, { viewport: { width: 360, height: 700 } });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 360, `${path} is ${wide} wide`);
  }
});

test("shows a request that is no telemetry", { skip }, async () => {
  await fetch(`${viewer.url}/api/v1/telemetry`, { method: "POST", body: "not json" });
  await shows("not telemetry: expected ident", ".row.other");
});

test("two pages see the same, and a viewer that is gone is said", { skip }, async () => {
  const second = await browser.newPage();
  await second.goto(viewer.url);
  await sendThree();
  await rows("3 rows");
  await second.waitForFunction(() => document.querySelector("#shown").textContent === "3 rows");
  await second.close();
  await viewer.stop();
  await shows("The viewer is gone", "#state");
  errors = [];
});

test("the first page is below 100 KB", { skip }, async () => {
  const bytes = await page.evaluate(() =>
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].filter(({ name }) => !/events$|live|status$/.test(name)).reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
  );
  assert.ok(bytes > 20_000 && bytes < 100_000, `${bytes} bytes`);
});

test("100 000 events are in the page within two seconds and filtered within 100 ms", { skip }, async () => {
  const program = new Program(viewer.url);
  for (let sent = 0; sent < 100_000; sent += 2_000) {
    await program.send(Array.from({ length: 2_000 }, (_, at) => program.log("train.step", { step: sent + at, loss: 1 / (1 + sent + at), path: "runs/a/checkpoint" })));
  }
  const slack = Number(process.env.SLACK ?? 4); // on a shared machine; 1 where the figures are measured
  const began = performance.now();
  await open("/");
  await page.waitForFunction(() => document.querySelector("#shown").textContent === "100\u202f000 rows", null, { polling: "raf" });
  const loaded = performance.now() - began;
  const filter = await page.evaluate(() => {
    const input = document.querySelector("#text");
    const times = ["9", "99", "999", "nowhere"].map((text) => {
      const began = performance.now();
      input.value = text;
      input.dispatchEvent(new Event("input"));
      document.querySelector("#events").getBoundingClientRect();
      return performance.now() - began;
    });
    return Math.max(...times);
  });
  const frames = await page.evaluate(async () => {
    document.querySelector("#clear").click();
    const scroller = document.querySelector("#events");
    const times = [];
    for (let at = 0; at < 60; at += 1) {
      const began = performance.now();
      scroller.scrollTop += 4000;
      scroller.dispatchEvent(new Event("scroll"));
      times.push(performance.now() - began);
      await new Promise(requestAnimationFrame);
    }
    return times.sort((a, b) => a - b)[54];
  });
  const heap = await page.evaluate(() => performance.memory.usedJSHeapSize / 1e6);
  console.log(`100 000 events: loaded ${loaded.toFixed(0)} ms, filter ${filter.toFixed(0)} ms, scroll step p90 ${frames.toFixed(1)} ms, page's heap ${heap.toFixed(0)} MB, memory of the viewer ${((await memory()) / 1e6).toFixed(0)} MB`);
  assert.ok(loaded < 2_000 * slack, `loaded in ${loaded} ms`);
  assert.ok(filter < 100 * slack, `filtered in ${filter} ms`);
  assert.ok(frames < 16 * slack, `a scroll took ${frames} ms`);
  assert.ok((await memory()) < 150e6, "memory of the viewer");
});

async function memory() {
  const status = await readFile(`/proc/${viewer.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) * 1024;
}
