// The binary as somebody starts it.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const startMsMax = 20_000;
const stopMsMax = 10_000;

/** Builds it, and says where cargo put it. */
export async function build() {
  const args = ["build", "--package", "mesh-cli", "--message-format", "json-render-diagnostics"];
  const { stdout } = await promisify(execFile)("cargo", args, { maxBuffer: 64 * 1024 * 1024 });
  const messages = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return messages.findLast((message) => message.executable).executable;
}

let port = 8_300;

/**
 * Starts it on the next port that nobody has, and waits until it listens. `stop` says how it ended, `again` starts it where it
 * was.
 */
export async function start(binary, where) {
  while (port < 9_000) {
    const addr = where ?? `127.0.0.1:${port++}`;
    const child = spawn(binary, ["--addr", addr], { stdio: ["ignore", "pipe", "pipe"] });
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    let errors = "";
    child.stderr.on("data", (text) => {
      errors += text;
    });
    const ended = once(child, "close").then(([code, signal]) => {
      process.off("exit", kill);
      return { code, signal, errors };
    });
    const within = async (ms, promise) => {
      const timer = setTimeout(kill, ms);
      return promise.finally(() => clearTimeout(timer));
    };
    const stop = () => {
      child.kill("SIGTERM");
      return within(stopMsMax, ended);
    };
    if (await within(startMsMax, firstLine(child.stdout))) {
      return { url: `http://${addr}/`, stop, again: () => start(binary, addr) };
    }
    const end = await ended;
    if (where || !errors.includes("cannot listen")) throw new Error(`mesh did not start: ${JSON.stringify(end)}`);
  }
  throw new Error("no free port");
}

async function firstLine(input) {
  for await (const line of createInterface({ input })) return line;
  return undefined;
}
