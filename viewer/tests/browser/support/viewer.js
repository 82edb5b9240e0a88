// The viewer under test: the real binary, on a port of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const BINARY = process.env.VIEWER_BINARY ?? fileURLToPath(new URL("../../../../target/debug/tinker-telemetry", import.meta.url));

export async function startViewer(...options) {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is not built: cargo build -p tinker-telemetry-viewer`);
  const port = options.includes("--port") ? [] : ["--port", "0"];
  const child = spawn(BINARY, ["view", ...port, ...options], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  await new Promise((resolve) => {
    child.on("exit", resolve);
    child.stderr.on("data", (part) => {
      said += part;
      if (/Your program:.*\n/.test(said)) resolve();
    });
  });
  const url = /The page: +(\S+)/.exec(said)?.[1];
  if (!url) throw new Error(`the viewer did not start: ${said}`);
  return {
    url,
    pid: child.pid,
    said,
    async stop() {
      if (child.exitCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}
