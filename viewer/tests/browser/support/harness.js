// What each test has: a viewer of its own, a page that shows it, a folder, and no error in the page at its end.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { findBrowser, launch } from "./browser.js";
import { startViewer } from "./viewer.js";
import { Program } from "./wire.js";

const chromium = await findBrowser();
export const skip = chromium === null;
export let browser, viewer, page, folder;
let errors = [];

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

export async function open(path, options = {}) {
  await page?.context().close();
  page = await browser.newPage({ viewport: { width: 1400, height: 800 }, acceptDownloads: true, ...options });
  page.setDefaultTimeout(10_000);
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(viewer.url + path);
  await page.waitForSelector('#state[data-state="live"]', { state: "attached" });
}

// Another viewer in place of the first, which the page shows. A page whose viewer ends says so as an error.
export async function replaceViewer(...options) {
  await viewer.stop();
  viewer = await startViewer(...options);
}

export const forgetErrors = () => (errors = []);

export const names = () => page.locator(".row.event .name").allTextContents();
export const shows = (text, selector = ".row") => page.locator(selector, { hasText: text }).first().waitFor();
export const rows = (text, options = {}) => page.waitForFunction((text) => document.querySelector("#shown").textContent === text, text, options);

// Waits until what `read` finds in the page is this: the page draws a moment after it counts.
export async function becomes(read, expected, message) {
  const end = Date.now() + 10_000;
  let seen = await read();
  while (!isDeepStrictEqual(seen, expected) && Date.now() < end) {
    await page.waitForTimeout(10);
    seen = await read();
  }
  assert.deepEqual(seen, expected, message);
}

export async function sendThree() {
  const program = new Program(viewer.url);
  await program.send([program.log("train.step", { step: 1, loss: 0.5 }, "DEBUG"), program.log("checkpoint.saved", { path: "Runs/A" }), program.log("disk.full", { left: 0 }, "ERROR")]);
  return program;
}

export async function exported() {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
  const path = join(folder, "out.jsonl");
  await download.saveAs(path);
  return { path, lines: (await readFile(path, "utf8")).trimEnd().split("\n").map((line) => JSON.parse(line)) };
}
