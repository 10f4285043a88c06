import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type {
  ChannelOptions,
  MeshClient,
  PatchOperation,
  RecordOptions,
  WriteOptions,
} from "../src/index.js";
import { outcome, settle, World } from "./world.js";

const folder = new URL("../../../protocol/vectors/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".txt"));
const replayed = files
  .map((name) => ({ name, lines: readFileSync(new URL(name, folder), "utf8").trimEnd().split("\n") }))
  .filter(({ lines }) => lines.includes("server: hello") && lines.some((line) => line.startsWith("call ")));

/** The strings that stand for others. `$time` stands for any number. */
class Names {
  readonly #bound: Map<string, string> = new Map();

  /** A frame of the server's as one might have sent it: what is new gets a value. */
  say(value: unknown): unknown {
    return this.#map(value, (name) => {
      if (name === "$time") return 12;
      if (!this.#bound.has(name)) this.#bound.set(name, `some ${name.slice(1)}`);
      return this.#bound.get(name);
    });
  }

  /** What was written down, where a name that is new stands for what the client chose to send. */
  hear(value: unknown, sent: unknown): unknown {
    if (typeof value === "string" && value.startsWith("$") && typeof sent === "string") {
      if (!this.#bound.has(value)) this.#bound.set(value, sent);
      return this.#bound.get(value);
    }
    if (typeof value !== "object" || value === null) return value;
    const inner = (sent ?? {}) as { readonly [name: string]: unknown };
    if (Array.isArray(value)) return value.map((item, i) => this.hear(item, inner[i]));
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.hear(item, inner[key])]));
  }

  #map(value: unknown, change: (name: string) => unknown): unknown {
    if (typeof value === "string") return value.startsWith("$") ? change(value) : value;
    if (Array.isArray(value)) return value.map((item) => this.#map(item, change));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#map(item, change)]));
  }
}

function call(client: MeshClient, method: string, args: unknown[]): Promise<unknown> {
  const [name = "", payload, more] = args;
  const text = String(name);
  switch (method) {
    case "connect":
      return client.connect();
    case "command":
      return client.command(text, payload);
    case "noop":
      return client.noop();
    case "joinRoom":
      return client.joinRoom(text);
    case "leaveRoom":
      return client.leaveRoom(text);
    case "getRoomMetadata":
      return client.getRoomMetadata(text);
    case "getConnectionMetadata":
      return args.length === 0 ? client.getConnectionMetadata() : client.getConnectionMetadata(text);
    case "subscribeChannel":
      return client.subscribeChannel(text, () => {}, payload as ChannelOptions);
    case "unsubscribeChannel":
      return client.unsubscribeChannel(text);
    case "publishChannel":
      return client.publishChannel(text, payload);
    case "getChannelHistory":
      return client.getChannelHistory(text, payload as object);
    case "subscribeRecord":
      return client.subscribeRecord(text, () => {}, payload as RecordOptions);
    case "unsubscribeRecord":
      return client.unsubscribeRecord(text);
    case "getRecord":
      return client.getRecord(text);
    case "writeRecord":
      return client.writeRecord(text, payload, more as WriteOptions);
    case "publishRecordUpdate":
      return client.publishRecordUpdate(text, payload, more as WriteOptions);
    case "patchRecord":
      return client.patchRecord(text, payload as PatchOperation[], more as object);
    case "incrementRecord":
      return client.incrementRecord(text, payload as number, more as string);
    case "deleteRecord":
      return client.deleteRecord(text, payload as object);
    default:
      throw new Error(`no such method: ${method}`);
  }
}

async function replay(lines: readonly string[]): Promise<void> {
  const world = new World();
  const names = new Names();
  let last: Promise<unknown> = Promise.resolve();
  for (const line of lines) {
    const [, kind = "", rest = ""] = /^(\S+) ?(.*)$/.exec(line) ?? [];
    const value = (): unknown => names.say(JSON.parse(rest));
    switch (kind) {
      case "#":
      case "server:":
        break;
      case "call": {
        const [, method = "", args] = /^(\S+) ?(.*)$/.exec(rest) ?? [];
        last = call(world.client, method, args ? (names.say(JSON.parse(args)) as unknown[]) : []);
        last.catch(() => {});
        await settle();
        if (world.socket.state === "connecting") world.socket.open();
        break;
      }
      case ">": {
        const sent = world.socket.next();
        expect(sent, line).toEqual(names.hear(JSON.parse(rest), sent));
        break;
      }
      case "<":
        world.socket.say(value());
        await settle();
        break;
      case "@": {
        const [, amount, unit] = /^(\d+)(ms|s)$/.exec(rest) ?? [];
        await world.clock.advance(Number(amount) * (unit === "s" ? 1_000 : 1));
        break;
      }
      case "=": {
        const result = (await outcome(last)) as { value?: unknown };
        if (rest === "undefined") expect(result, line).toEqual({ value: undefined });
        else expect(result, line).toMatchObject({ value: value() });
        break;
      }
      case "!":
        expect(await outcome(last), line).toMatchObject({ name: expect.any(String), code: rest });
        break;
      case "x":
        world.socket.close(Number(rest));
        await settle();
        break;
      default:
        throw new Error(`no such line: ${line}`);
    }
    if (kind !== ">" && kind !== "<" && kind !== "call" && kind !== "@") {
      expect(world.sockets.at(-1)?.sent.length ?? 0, `after ${line}`).toBe(world.sockets.at(-1)?.read ?? 0);
    }
  }
}

test.each(replayed)("$name", ({ lines }) => replay(lines));

test("there are conversations to replay", () => {
  expect(replayed.length).toBeGreaterThanOrEqual(6);
});

test.each(files)("%s has the form of a conversation", (name) => {
  const lines = readFileSync(new URL(name, folder), "utf8").trimEnd().split("\n");
  expect(lines[0]).toMatch(/^# /);
  expect(lines.find((line) => !line.startsWith("#"))).toMatch(/^server: (origin|hello)$/);
  for (const line of lines) {
    expect(line).toMatch(/^(# |server: |[<>] .|@ \d+m?s$|call \w+( \[.*\])?$|= .|! \w+$|x \d{4}$)/);
    if (line.startsWith("< ")) JSON.parse(line.slice(2));
  }
});
