// Keeps the bounds, in a real browser: sizes and times, what is forgotten, files that are torn or of another format.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { becomes, folder, forgetErrors, names, open, page, replaceViewer, rows, sendThree, shows, skip, viewer } from "./support/harness.js";
import { startViewer } from "./support/viewer.js";
import { Program } from "./support/wire.js";

test("the first page is below 100 KB", { skip }, async () => {
  const bytes = await page.evaluate(() =>
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].filter(({ name }) => !/events$|live|status$/.test(name)).reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
  );
  console.log(`first page: ${(bytes / 1000).toFixed(0)} KB`);
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

test("says what left its memory, in an open page and in one that comes later, and takes it for no loss", { skip }, async () => {
  const program = new Program(viewer.url);
  for (let sent = 0; sent < 110_000; sent += 10_000) {
    await program.send(Array.from({ length: 10_000 }, (_, at) => program.log("train.step", { step: sent + at })));
  }
  await page.locator("#notes", { hasText: "10\u202f000 older events left memory. Use --keep FILE" }).waitFor({ timeout: 60_000 });
  await open("/");
  await shows("10\u202f000 older events left memory", "#notes");
  await rows("100\u202f000 rows", { timeout: 60_000 });
  assert.equal(await page.locator(".session .trouble", { hasText: "lost" }).count(), 0);
});

test("a file that a crash has torn shows what is whole in it", { skip }, async () => {
  const { process, session } = await sendThree();
  await rows("3 rows");
  const lines = (await (await fetch(`${viewer.url}/_viewer/events`)).text()).trimEnd();
  await replaceViewer();
  await open("/");
  forgetErrors();
  const torn = join(folder, "torn.jsonl");
  await writeFile(torn, lines.slice(0, -40));
  await page.setInputFiles("#file", torn);
  await shows("2 events read, 1 line skipped: torn, or no events", "#toast");
  await becomes(names, ["checkpoint.saved", "train.step"]);
  await shows("from a file", `.session:has-text("${session}"):has-text("${process.slice(0, 4)}")`);
});

test("a file of another format is said to be one, and the page goes on", { skip }, async () => {
  const table = join(folder, "table.csv");
  const binary = join(folder, "picture.png");
  await writeFile(table, "step,loss\n1,0.5\n2,0.4\n");
  await writeFile(binary, Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0xff, 0xfe, 0x0a, 0x7b, 0x22]));
  await page.setInputFiles("#file", table);
  await shows("0 events read, 3 lines skipped: torn, or no events", "#toast");
  await page.setInputFiles("#file", binary);
  await shows("0 events read, 4 lines skipped", "#toast");
  await sendThree();
  await rows("3 rows");
});

test("two viewers at once have each their own events", { skip }, async () => {
  const second = await startViewer();
  try {
    await new Program(second.url, "of-the-second").send([new Program(second.url).log("elsewhere")]);
    await sendThree();
    await rows("3 rows");
    await becomes(() => page.locator(".session").count(), 1);
    await page.goto(second.url);
    await shows("elsewhere");
    await rows("1 row");
  } finally {
    await page.goto("about:blank");
    await second.stop();
  }
});

test("a page whose viewer is started again shows the new one's events alone", { skip }, async () => {
  await sendThree();
  await rows("3 rows");
  const { port } = new URL(viewer.url);
  await replaceViewer("--port", port);
  await page.waitForSelector('#state[data-state="live"]', { state: "attached", timeout: 30_000 });
  const program = new Program(viewer.url, "after");
  await program.send([program.log("anew")]);
  await rows("1 row", { timeout: 30_000 });
  await becomes(names, ["anew"]);
  forgetErrors();
});
