// A program with the library's own reporter: viewer/examples/report.rs.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const BINARY = fileURLToPath(new URL("../../../../target/debug/examples/report", import.meta.url));

// `ended` becomes its exit code.
export function startReporter(url) {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is not built: cargo build -p tinker-telemetry-viewer --examples`);
  const child = spawn(BINARY, { stdio: "inherit", env: { ...process.env, TINKER_BASE_URL: url, TINKER_API_KEY: "tml-local", TINKER_TELEMETRY: "1" } });
  return { ended: once(child, "exit").then(([code]) => code) };
}
