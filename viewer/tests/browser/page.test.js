// Keeps the page, in a real browser: what a user sees, does and exports.

import assert from "node:assert/strict";
import { test } from "node:test";
import { becomes, browser, exported, forgetErrors, names, open, page, replaceViewer, rows, sendThree, shows, skip, viewer } from "./support/harness.js";
import { startReporter } from "./support/reporter.js";
import { Program } from "./support/wire.js";

test("says what to run while nothing is there, and shows events as they arrive, newest first", { skip }, async () => {
  await shows(`TINKER_BASE_URL=${viewer.url} python train.py`, "#events-empty code");
  await sendThree();
  await rows("3 rows");
  await becomes(names, ["disk.full", "checkpoint.saved", "train.step"]);
  await becomes(() => page.locator("#events-empty").isVisible(), false);
  await page.keyboard.press("o");
  await becomes(names, ["train.step", "checkpoint.saved", "disk.full"]);
});

test("filters by severity, name, text and session, and keeps them in the URL", { skip }, async () => {
  await sendThree();
  const other = new Program(viewer.url, "session-0002");
  await other.send([other.log("train.step", { step: 1 })]);
  await rows("4 rows");
  for (const [id, value, expected] of [["min", "ERROR", ["disk.full"]], ["name", "checkpoint", ["checkpoint.saved"]], ["text", "runs/a", ["checkpoint.saved"]]]) {
    await (id === "min" ? page.selectOption("#min", value) : page.fill(`#${id}`, value));
    await rows("1 row of 4");
    await becomes(names, expected, id);
    assert.match(page.url(), new RegExp(`[?&]${id}=`));
    await page.reload();
    await rows("1 row of 4");
    await becomes(names, expected, `${id} after a reload`);
    await page.click("#clear");
    await rows("4 rows");
  }
  await page.click(".session >> text=session-0002");
  await rows("1 row of 4");
  await becomes(() => page.locator(".session[aria-pressed=true]").count(), 1);
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
  await becomes(() => page.locator(".row").count(), 2);
  await becomes(() => page.locator(".row .refused").count(), 0);
});

test("an outage makes the library's reporter retry, and it delivers once that is over", { skip }, async () => {
  await page.click('#outage [data-word="503"]');
  await page.waitForSelector('[data-word="503"][aria-pressed="true"]');
  const program = startReporter(viewer.url);
  await shows("answered 503", ".row .refused");
  await page.click('#outage [data-word="back"]');
  assert.equal(await program.ended, 0, "the reporter delivered everything");
  await page.locator(".row", { hasText: "checkpoint.saved" }).locator(".retry").waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".row .refused").length === 0);
  await shows("ended", '.session[data-state="ended"]');
});

test("slow answers come after three seconds, and are answers", { skip }, async () => {
  const program = new Program(viewer.url);
  await page.click('#outage [data-word="slow"]');
  await page.waitForSelector('[data-word="slow"][aria-pressed="true"]');
  await shows("An outage is played: Slow", "#notes");
  const began = performance.now();
  assert.equal(await program.send([program.log("late")]), 200);
  const took = performance.now() - began;
  assert.ok(took > 2_900, `answered after ${took} ms`);
  await shows("late");
});

test("a session that says nothing for a minute has gone silent, until its next event", { skip }, async () => {
  const program = new Program(viewer.url);
  await program.send([program.started()]);
  await shows("running", ".session");
  await page.clock.setFixedTime(Date.now() + 61_000);
  await shows("gone silent", '.session[data-state="silent"]');
  await page.clock.setFixedTime(Date.now());
  await program.send([program.log("back")]);
  await shows("running", '.session[data-state="running"]');
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
  await becomes(() => card.locator("tbody tr").allTextContents(), ["run-a113", "run-b335"]);
  await page.locator("#curves-grid .card", { hasText: "nested.rate" }).locator("canvas").waitFor();
  const ink = await card.locator("canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const near = ([r, g, b], at) => Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) < 40 && data[at + 3] > 200;
    const count = (colour) => [...Array(data.length / 4).keys()].filter((pixel) => near(colour, pixel * 4)).length;
    return [count([0x1f, 0x7a, 0x6c]), count([0xc2, 0x63, 0x2b])];
  });
  assert.ok(ink.every((pixels) => pixels > 50), `pixels of the two runs: ${ink}`);
});

test("a drag in a chart zooms it, what arrives leaves the zoom, and a press shows all again", { skip }, async () => {
  const program = new Program(viewer.url);
  const steps = (from, to) => Array.from({ length: to - from }, (_, at) => program.log("train.step", { step: from + at, loss: 1 / (1 + from + at) }));
  await program.send(steps(0, 101));
  await page.click("#tab-curves");
  const card = page.locator("#curves-grid .card", { hasText: "loss" });
  const plot = await card.locator(".u-over").boundingBox();
  const all = card.locator(".all");
  assert.equal(await all.isVisible(), false);
  await page.mouse.move(plot.x + plot.width * 0.25, plot.y + 50);
  await page.mouse.down();
  await page.mouse.move(plot.x + plot.width * 0.75, plot.y + 60, { steps: 4 });
  await page.mouse.up();
  await all.waitFor();
  const range = await all.textContent();
  assert.match(range, /^2[456] to 7[456] · show all$/);
  await program.send(steps(101, 201));
  await page.waitForFunction(() => /, 201 points/.test(document.querySelector(".chart").getAttribute("aria-label")));
  assert.equal(await all.textContent(), range);
  await all.click();
  await all.waitFor({ state: "hidden" });
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
  await becomes(async () => (await names()).at(-1), hostile);
});

test("exports what was sent, what is shown alone, and reads it again by a drop", { skip }, async () => {
  const program = await sendThree();
  await rows("3 rows");
  const whole = await exported();
  assert.deepEqual(whole.lines.map((line) => line.event), program.sent);
  await page.fill("#name", "disk");
  await rows("1 row of 3");
  assert.deepEqual((await exported()).lines.map((line) => line.event), [program.sent[2]]);

  await replaceViewer();
  await open("/");
  forgetErrors(); // the first viewer is gone on purpose
  const text = `${JSON.stringify(whole.lines[0])}\n${JSON.stringify(whole.lines[1])}\n{"torn":\n{"of":"another format"}\n`;
  await page.evaluate((text) => {
    const data = new DataTransfer();
    data.items.add(new File([text], "run.jsonl"));
    window.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  }, text);
  await shows("2 events read, 2 lines skipped", "#toast");
  await becomes(names, ["checkpoint.saved", "train.step"]);
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
  await becomes(() => page.locator("#follow").isVisible(), false);
});

test("shows a request that is no telemetry", { skip }, async () => {
  await fetch(`${viewer.url}/api/v1/telemetry`, { method: "POST", body: "not json" });
  await shows("not telemetry: expected ident", ".row.other");
  await fetch(`${viewer.url}/api/v1/asample`, { method: "POST", body: "{}" });
  await shows("answered 404not telemetry: the viewer answers telemetry alone", '.row.other:has-text("POST /api/v1/asample")');
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
  forgetErrors();
});
