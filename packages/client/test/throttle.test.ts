import { expect, test } from "vitest";
import type { FakeSocket } from "./world.js";
import { outcome, settle, World } from "./world.js";

const rate = { maxRate: 10 };
const payloads = (socket: FakeSocket): unknown[] => {
  const frames = socket.sent.slice(socket.read) as { payload: unknown }[];
  socket.read = socket.sent.length;
  return frames.map(({ payload }) => payload);
};

test("of what is written faster than its rate the newest is sent, and the last one always", async () => {
  const world = new World();
  const socket = await world.online();
  for (let i = 0; i <= 1_000; i += 1) {
    void world.client.command("cursor", i, rate).catch(() => {});
    if (i < 1_000) await world.clock.advance(1);
  }
  // One at once, and one each 100 ms: the newest that there is then.
  expect(payloads(socket)).toEqual([0, 99, 199, 299, 399, 499, 599, 699, 799, 899, 999]);
  await world.clock.advance(99);
  expect(payloads(socket)).toEqual([]);
  await world.clock.advance(1);
  expect(payloads(socket)).toEqual([1_000]);
  await world.clock.advance(10_000);
  expect(payloads(socket)).toEqual([]);
});

test("those that gave way end as the one does that took their place", async () => {
  const world = new World();
  const socket = await world.online();
  const first = world.client.command("cursor", 0, rate);
  const three = [1, 2, 3].map((n) => world.client.command("cursor", n, rate));
  socket.answer("first");
  expect(await first).toBe("first");
  await world.clock.advance(100);
  const failing = Promise.allSettled([4, 5].map((n) => world.client.command("cursor", n, rate)));
  expect(socket.answer("third")).toMatchObject({ payload: 3 });
  expect(await Promise.all(three)).toEqual(["third", "third", "third"]);
  await world.clock.advance(100);
  const { id } = socket.next();
  socket.say({ id, command: "cursor", error: { code: "busy", message: "not now" } });
  expect(await failing).toMatchObject([{ reason: { code: "busy" } }, { reason: { code: "busy" } }]);
});

test("each channel, each record and each command has a rate of its own", async () => {
  const world = new World();
  const socket = await world.online();
  for (const n of [1, 2]) {
    for (const name of ["a", "b"]) {
      void world.client.command(name, n, rate);
      void world.client.publishChannel(name, n, rate);
      void world.client.writeRecord(name, n, rate);
      void world.client.publishRecordUpdate(name, n, rate);
    }
  }
  const txn = expect.any(String);
  const written = (n: number) =>
    ["a", "b"].flatMap((name) => [
      n,
      { channel: name, message: n, txn },
      { recordId: name, newValue: n, txn },
    ]);
  expect(payloads(socket)).toEqual(written(1));
  await world.clock.advance(100);
  expect(payloads(socket)).toEqual(written(2));
});

test("what is published at a rate resolves to one message for all that gave way", async () => {
  const world = new World();
  const socket = await world.online();
  const all = [1, 2, 3].map((n) => world.client.publishChannel("a", n, rate));
  socket.answer({ success: true, offset: 1 });
  await world.clock.advance(100);
  socket.answer({ success: true, offset: 2 });
  expect(await Promise.all(all)).toEqual([1, 2, 2].map((offset) => ({ success: true, offset })));
});

test("without a connection one waits of each, and is sent when there is one", async () => {
  const world = new World();
  (await world.online()).close(1006);
  const all = Array.from({ length: 500 }, (_, n) => world.client.command("cursor", n, rate));
  void world.client.command("echo", "queued");
  await world.clock.advance(200);
  const socket = await world.again();
  expect(payloads(socket)).toEqual(["queued", 499]);
  socket.read -= 1;
  socket.answer("last");
  expect(new Set(await Promise.all(all))).toEqual(new Set(["last"]));
});

test("what has a rate makes a connection where there is none", async () => {
  const world = new World();
  const call = world.client.command("cursor", 1, rate);
  await settle();
  world.socket.hello();
  world.socket.answer("moved");
  expect(await call).toBe("moved");
});

test("what has a rate waits until the server has room", async () => {
  const world = new World({ queue: { commands: 2_000 } });
  const socket = await world.online();
  for (let i = 0; i < 1_056; i += 1) void world.client.command("echo", i);
  const calls = [1, 2].map((n) => world.client.command("cursor", n, rate));
  await world.clock.advance(1_000);
  expect(socket.sent).toHaveLength(1 + 1_056);
  expect(world.clock.timers).toBe(1);
  socket.answer(0);
  expect(socket.sent.at(-1)).toMatchObject({ command: "cursor", payload: 2 });
  for (let i = 0; i < 1_056; i += 1) socket.answer(i);
  expect(await Promise.all(calls)).toEqual([1_055, 1_055]);
});

test("each call ends at its own time, whether it waits or gave way", async () => {
  const world = new World();
  const socket = await world.online();
  const slow = { maxRate: 0.1 };
  void world.client.command("cursor", 0, slow);
  const stop = new AbortController();
  const options = [{ timeout: 300 }, { signal: stop.signal }, { timeout: 700 }, { timeout: 20_000 }];
  const calls = options.map((more, n) => world.client.command("cursor", n + 1, { ...slow, ...more }));
  for (const call of calls) call.catch(() => {});
  await world.clock.advance(300);
  expect(await outcome(calls[0] as Promise<unknown>)).toMatchObject({ code: "ETIMEOUT", sent: false });
  stop.abort();
  expect(await outcome(calls[1] as Promise<unknown>)).toMatchObject({ code: "cancelled", sent: false });
  await world.clock.advance(400);
  expect(await outcome(calls[2] as Promise<unknown>)).toMatchObject({ code: "ETIMEOUT", sent: false });
  await world.clock.advance(9_300);
  expect(payloads(socket)).toEqual([0, 4]);
});

test("a newest call that is ended before its turn is not sent, and takes those that gave way along", async () => {
  const world = new World();
  const socket = await world.online();
  void world.client.command("cursor", 0, rate);
  const stop = new AbortController();
  const gaveWay = world.client.command("cursor", 1, rate);
  const newest = world.client.command("cursor", 2, { ...rate, signal: stop.signal });
  stop.abort();
  for (const call of [gaveWay, newest]) expect(await outcome(call)).toMatchObject({ code: "cancelled" });
  await world.clock.advance(100);
  expect(payloads(socket)).toEqual([0]);
});

test("what waits for its turn ends with the client", async () => {
  const world = new World();
  await world.online();
  void world.client.command("cursor", 0, rate).catch(() => {});
  const calls = Promise.allSettled([1, 2].map((n) => world.client.command("cursor", n, rate)));
  await world.client.close();
  expect(await calls).toMatchObject([{ reason: { code: "closed" } }, { reason: { code: "closed" } }]);
  expect(world.clock.timers).toBe(0);
});

test("what waits and what gave way is bounded by the queue", async () => {
  const world = new World({ queue: { commands: 2, bytes: 1_000 } });
  (await world.online()).close(1006);
  const all = [1, 2, 3, 4].map((n) => world.client.command("a", n, rate));
  for (const call of all) call.catch(() => {});
  expect(await outcome(all[0] as Promise<unknown>)).toMatchObject({ code: "queue_full", sent: false });
  void world.client.command("b", 1, rate);
  expect(await outcome(world.client.command("c", 1, rate))).toMatchObject({ code: "queue_full" });
  const large = world.client.command("a", "x".repeat(1_000), rate);
  expect(await outcome(large)).toMatchObject({ code: "queue_full" });
  const socket = await world.again();
  expect(payloads(socket)).toEqual([4, 1]);
  // As many subjects are known, those that were written last.
  for (const name of ["c", "a", "c", "a"]) void world.client.command(name, name, rate);
  expect(payloads(socket)).toEqual(["c", "a"]);
});

test("a rate that is none is refused", async () => {
  const world = new World();
  const socket = await world.online();
  for (const maxRate of [0, 0.009, 1_001, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(await outcome(world.client.command("a", 1, { maxRate }))).toMatchObject({ code: "bad_payload" });
  }
  for (const maxRate of [0.01, 1_000]) void world.client.command(`at ${maxRate}`, maxRate, { maxRate });
  expect(payloads(socket)).toEqual([0.01, 1_000]);
});

test("what says only a part of a record takes no rate, so that no other part is lost", async () => {
  const world = new World();
  const socket = await world.online();
  for (const part of [{ strategy: "merge" }, { strategy: "deepMerge" }, { ifVersion: 7 }] as const) {
    const written = world.client.writeRecord("r", { a: 1 }, { ...part, ...rate });
    expect(await outcome(written)).toMatchObject({ code: "bad_payload", sent: false });
    expect(await world.client.publishRecordUpdate("r", { a: 1 }, { ...part, ...rate })).toBe(false);
  }
  expect(payloads(socket)).toEqual([]);
  void world.client.writeRecord("r", 1, { strategy: "replace", ...rate });
  void world.client.writeRecord("r", { a: 1 }, { strategy: "merge" });
  expect(payloads(socket)).toHaveLength(2);
});
