import { expect, test, vi } from "vitest";
import { at, Heard, messages, push, record, Updates, update } from "./streams.js";
import { outcome, settle, World } from "./world.js";

test("an aborted subscription fails with an AbortError, and leaves no callback and no listener", async () => {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  const stop = new AbortController();
  const added = vi.spyOn(stop.signal, "addEventListener");
  const removed = vi.spyOn(stop.signal, "removeEventListener");
  const done = world.client.subscribeChannel("chat:1", heard.callback, { signal: stop.signal });
  const { id, command } = socket.next();
  stop.abort();
  expect(await done).toMatchObject({
    success: false,
    history: [],
    error: { code: "cancelled", name: "AbortError", sent: true },
  });
  expect(removed).toHaveBeenCalledTimes(added.mock.calls.length);
  socket.say({ id, command, payload: messages(8, 7) });
  push(socket, "chat:1", 8);
  expect(heard.all).toEqual([]);
  expect(socket.answer(true).command).toBe("mesh/unsubscribe-channel");
  socket.close(1006);
  expect((await world.again()).sent).toHaveLength(1);
});

test("a subscription that is served is not ended by its signal", async () => {
  const world = new World();
  const socket = await world.online();
  const updates = new Updates();
  const stop = new AbortController();
  const done = world.client.subscribeRecord("user:1", updates.callback, { signal: stop.signal });
  socket.answer(record("r7", 7));
  expect(await done).toMatchObject({ success: true });
  stop.abort();
  update(socket, "user:1", 8, { full: "r8" });
  expect(updates.all).toHaveLength(2);
});

test("an aborted subscription takes nothing from others, nor from what its callback had", async () => {
  const world = new World();
  const socket = await world.online();
  const [first, second] = [new Heard(), new Heard()];
  void world.client.subscribeChannel("chat:1", first.callback);
  socket.answer(messages(8, 7));
  await settle();
  const stop = new AbortController();
  const options = { signal: stop.signal, historyLimit: 1 };
  const added = world.client.subscribeChannel("chat:1", second.callback, options);
  const again = world.client.subscribeChannel("chat:1", first.callback, options);
  stop.abort();
  for (const done of [added, again]) {
    expect(await done).toMatchObject({ success: false, error: { code: "cancelled" } });
  }
  socket.answer(messages(7, 7));
  push(socket, "chat:1", 8);
  expect([first.all, second.all]).toEqual([["m8"], []]);
});

test("a subscription whose signal was aborted before is not sent", async () => {
  const world = new World();
  const socket = await world.online();
  const done = world.client.subscribeRecord("user:1", () => {}, { signal: AbortSignal.abort() });
  expect(await done).toMatchObject({
    success: false,
    record: null,
    error: { name: "AbortError", sent: false },
  });
  expect(socket.sent).toHaveLength(1);
});

test("the reason that abort was given is in the details of a refusal", async () => {
  const world = new World();
  await world.online();
  const reason = new Error("the user went elsewhere");
  const done = world.client.subscribeChannel("chat:1", () => {}, { signal: AbortSignal.abort(reason) });
  expect(await done).toMatchObject({
    success: false,
    error: { code: "cancelled", message: reason.message, details: reason },
  });
});

test("each subscription waits as long as it says, in whatever order they were made", async () => {
  const world = new World();
  const socket = await world.online();
  const order: number[] = [];
  for (const timeout of [300, 100, 200]) {
    world.client
      .subscribeChannel("chat:1", () => {}, { timeout })
      .then(({ error }) => {
        expect(error).toMatchObject({ code: "ETIMEOUT", message: `Command timed out after ${timeout}ms.` });
        order.push(timeout);
      });
  }
  socket.next();
  await world.clock.advance(99);
  expect(order).toEqual([]);
  await world.clock.advance(1);
  expect(order).toEqual([100]);
  await world.clock.advance(200);
  expect(order).toEqual([100, 200, 300]);
});

test("a subscription may wait for longer than commands do", async () => {
  const world = new World({ pingTimeout: 1_000_000 });
  const socket = await world.online();
  const long = outcome(world.client.subscribeChannel("a", () => {}, { timeout: 60_000 }));
  const endless = world.client.subscribeRecord("b", () => {}, { timeout: Number.POSITIVE_INFINITY });
  const [, slow] = [socket.next(), socket.next()];
  await world.clock.advance(59_999);
  const still = world.client.subscribeChannel("a", () => {}, { timeout: 1 });
  await world.clock.advance(1);
  expect(await still).toMatchObject({ success: false, error: { code: "ETIMEOUT" } });
  await long;
  await world.clock.advance(600_000);
  expect(await outcome(endless)).toBe("pending");
  socket.say({ id: slow.id, command: slow.command, payload: record("r1", 1) });
  expect(await endless).toMatchObject({ success: true, record: "r1" });
});

test("history, reads and writes of records take a timeout and a signal, and send neither", async () => {
  const world = new World();
  const socket = await world.online();
  const stop = new AbortController();
  const options = { timeout: 100, signal: stop.signal };
  const calls = (): Promise<unknown>[] => [
    world.client.getChannelHistory("chat:1", { limit: 3, after: at(7), ...options }),
    world.client.getRecord("user:1", options),
    world.client.writeRecord("user:1", 1, { ifVersion: 7, ...options }),
    world.client.patchRecord("user:1", [], { ifVersion: 7, ...options }),
    world.client.incrementRecord("user:1", 2, "/n", options),
    world.client.deleteRecord("user:1", options),
  ];
  const late = Promise.allSettled(calls());
  await settle();
  const txn = expect.any(String);
  expect(socket.sent.slice(1).map((frame) => (frame as { payload: unknown }).payload)).toEqual([
    { channel: "chat:1", limit: 3, after: at(7) },
    { recordId: "user:1" },
    { recordId: "user:1", newValue: 1, ifVersion: 7, txn },
    { recordId: "user:1", patch: [], ifVersion: 7, txn },
    { recordId: "user:1", by: 2, path: "/n", txn },
    { recordId: "user:1", txn },
  ]);
  await world.clock.advance(100);
  const failed = (error: object) => [
    { status: "fulfilled", value: { success: false, messages: [], error } },
    ...Array.from({ length: 5 }, () => ({ status: "rejected", reason: error })),
  ];
  expect(await late).toMatchObject(failed({ code: "ETIMEOUT", sent: true }));
  const aborted = Promise.allSettled(calls());
  stop.abort();
  expect(await aborted).toMatchObject(failed({ code: "cancelled", name: "AbortError", sent: true }));
});
