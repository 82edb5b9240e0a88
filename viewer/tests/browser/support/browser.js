// Debian's chromium, or the reason why there is none.

import { existsSync } from "node:fs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

export async function findBrowser() {
  if (!existsSync(CHROMIUM)) return missing(`${CHROMIUM} is not there (apt-get install chromium)`);
  try {
    return (await import("playwright-core")).chromium;
  } catch {
    return missing("playwright-core is not there (npm ci in viewer/tests/browser)");
  }
}

function missing(reason) {
  if (process.env.REQUIRE_BROWSER === "1") throw new Error(reason);
  console.log(`skipped: ${reason}`);
  return null;
}

// Playwright makes a new profile for each launch and removes it.
export const launch = (chromium) =>
  chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--enable-precise-memory-info",
    ],
  });
