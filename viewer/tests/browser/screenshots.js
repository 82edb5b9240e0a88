// Pictures of the page, to look at: node screenshots.js FOLDER

import { mkdirSync } from "node:fs";
import { findBrowser, launch } from "./support/browser.js";
import { trainTwice } from "./support/runs.js";
import { startViewer } from "./support/viewer.js";

const folder = process.argv[2] ?? "shots";
mkdirSync(folder, { recursive: true });
const chromium = await findBrowser();
if (!chromium) process.exit(0);
const viewer = await startViewer();
const browser = await launch(chromium);
const shot = async (name, url, size, { scheme = "light", act } = {}) => {
  const page = await browser.newPage({ viewport: size, colorScheme: scheme });
  page.on("pageerror", (error) => console.log(name, error.message));
  page.on("console", (message) => message.type() === "error" && console.log(name, message.text()));
  await page.goto(viewer.url + url);
  await page.waitForSelector('#state[data-state="live"]', { state: "attached" });
  if (act) await act(page);
  await page.waitForTimeout(700);
  await page.screenshot({ path: `${folder}/${name}.png` });
  await page.close();
};
const wide = { width: 1440, height: 860 };
const narrow = { width: 400, height: 800 };
const failed = (page) => page.click(".row.l4:not(.gap)");
await shot("empty", "/", wide);
await trainTwice(viewer.url);
await shot("wide", "/", wide, { act: (page) => page.click(".row >> nth=8") });
await shot("exception", "/", wide, { act: async (page) => { await failed(page); await page.click(".fold summary"); } });
await shot("curves", "/?view=curves", wide);
await shot("spans", "/?view=spans", wide);
await shot("dark", "/", wide, { scheme: "dark", act: failed });
await shot("dark-curves", "/?view=curves", wide, { scheme: "dark" });
await shot("narrow", "/", narrow);
await shot("narrow-detail", "/", narrow, { act: failed });
await shot("narrow-curves", "/?view=curves", narrow);
await shot("gap", "/?order=oldest", wide, { act: async (page) => { await page.evaluate(() => (document.querySelector("#events").scrollTop = 32 * 140)); } });
await browser.close();
await viewer.stop();
