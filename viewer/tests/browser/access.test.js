// Keeps the page usable for everyone: keyboard, screen reader, dark, narrow.

import assert from "node:assert/strict";
import { test } from "node:test";
import { becomes, open, page, rows, sendThree, shows, skip, viewer } from "./support/harness.js";
import { Program } from "./support/wire.js";

test("works by the keyboard alone", { skip }, async () => {
  await sendThree();
  await rows("3 rows");
  await page.keyboard.press("/");
  await page.keyboard.type("loss");
  await rows("1 row of 3");
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowDown");
  await becomes(() => page.textContent("#detail-name"), "train.step");
  const active = await page.getAttribute("#events", "aria-activedescendant");
  await becomes(() => page.getAttribute(`#${active}`, "aria-selected"), "true");
  await page.keyboard.press("Escape");
  await becomes(() => page.locator("#detail").isVisible(), false);
  await page.keyboard.press("2");
  await becomes(() => page.locator("#view-curves").isVisible(), true);
  await page.keyboard.press("?");
  await becomes(() => page.locator("#help").isVisible(), true);
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

test("a session, a view, a chart's zoom and an outage are reached by the keyboard", { skip }, async () => {
  const program = new Program(viewer.url, "run-a");
  await program.send([0, 1, 2, 3, 4, 5, 6, 7, 8].map((step) => program.log("train.step", { step, loss: 9 - step })));
  await rows("9 rows");
  await tabTo('#outage [data-word="slow"]');
  await page.keyboard.press("Enter");
  await page.waitForSelector('#outage [data-word="slow"][aria-pressed="true"]');
  await tabTo(".session");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".session[aria-pressed=true]");
  await tabTo("#tab-events");
  await page.keyboard.press("ArrowRight");
  await tabTo(".chart:has(canvas)");
  await page.keyboard.press("+");
  await shows("2 to 6 · show all", ".card .all");
  await page.keyboard.press("ArrowRight");
  await shows("3 to 7 · show all", ".card .all");
  await tabTo(".card .all");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".card .all", { state: "hidden" });
  await page.keyboard.press("?");
  await page.waitForSelector("#help[open]");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#help:not([open])", { state: "attached" });
});

// Presses Tab until the focus is there.
async function tabTo(selector) {
  for (let pressed = 0; pressed < 60; pressed += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((selector) => document.activeElement?.matches(selector), selector)) return;
  }
  assert.fail(`Tab never comes to ${selector}`);
}

test("the browser's own accessibility tree has a name for whatever can be reached, in each view", { skip }, async () => {
  const program = await sendThree();
  await program.send([program.log("train.step", { step: 2, loss: 0.4 }), program.log("eval.start"), program.failed("RuntimeError", "it broke", "a\n".repeat(20))]);
  await rows("6 rows");
  await page.click(".row.l3:not(.gap)");
  const browserSide = await page.context().newCDPSession(page);
  const roles = ["button", "checkbox", "combobox", "complementary", "dialog", "image", "link", "listbox", "navigation", "option", "region", "searchbox", "tab", "table", "tablist", "tabpanel", "textbox"];
  for (const [key, within] of [["1", "#events"], ["2", ".chart canvas"], ["3", ".bar"], ["?", "#help[open]"]]) {
    await page.keyboard.press(key);
    await page.waitForSelector(within);
    const { nodes } = await browserSide.send("Accessibility.getFullAXTree");
    const seen = nodes.filter(({ ignored, role }) => !ignored && roles.includes(role?.value));
    const nameless = seen.filter(({ name }) => !name?.value.trim()).map(({ role }) => role.value);
    assert.ok(seen.length > 0);
    assert.deepEqual(nameless, [], `after the key ${key}`);
  }
});

test("a row is read out with its time, severity, name and data", { skip }, async () => {
  await sendThree();
  await rows("3 rows");
  await page.getByRole("option", { name: /^\d\d:\d\d:\d\d\.\d{3} ERROR disk\.full left/ }).waitFor();
  await page.getByRole("button", { name: /session-0001 running.*3 events/ }).waitFor();
  await page.getByRole("group", { name: "Play an outage" }).waitFor();
});
