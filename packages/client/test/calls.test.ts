import { expect, test, vi } from "vitest";
import { Ids } from "../src/ids.js";
import { CodeError } from "../src/index.js";
import { outcome, settle, World } from "./world.js";

test("trap_e_a_late_reply_never_resolves_another_call", async () => {
  const world = new World();
  const socket = await world.online();
  const slow = outcome(world.client.command("slow", null, 100));
  const late = socket.next();
  await world.clock.advance(100);
  await slow;
  // Each of the other 65,535 ids is used once more before the answer comes.
  const seen = new Set<number>();
  for (let i = 0; i < 65_600; i += 1) {
    void world.client.command("echo");
    const { id } = socket.next();
    seen.add(id);
    socket.say({ id, command: "echo", payload: "own" });
  }
  expect(seen.has(late.id)).toBe(false);
  expect(seen.size).toBe(65_535);
  const next = world.client.command("echo");
  socket.say({ id: late.id, command: "slow", payload: "late" });
  expect(await outcome(next)).toBe("pending");
  socket.answer("own");
  expect(await next).toBe("own");
});

test("trap_e_ids_that_ran_out_fail_the_call_rather_than_go_astray", () => {
  const ids = new Ids();
  for (let i = 0; i < 65_536; i += 1) expect(ids.take()).toBe(i);
  expect(ids.take()).toBeUndefined();
  ids.release(7);
  expect(ids.take()).toBe(7);
});

test("trap_e_a_reply_of_the_old_socket_is_ignored", async () => {
  const world = new World();
  const old = await world.online();
  old.close(1006);
  const socket = await world.again();
  const call = world.client.command("echo");
  const { id } = socket.next();
  old.say({ id, command: "echo", payload: "old" });
  expect(await outcome(call)).toBe("pending");
  socket.say({ id, command: "echo", payload: "new" });
  expect(await call).toBe("new");
});

test("trap_f_a_failed_command_rejects_with_its_code", async () => {
  const world = new World();
  const socket = await world.online();
  const call = world.client.command("fail");
  const { id } = socket.next();
  const error = { code: "busy", message: "not now", retryable: true, details: { after: 3 } };
  socket.say({ id, command: "fail", error });
  const failure = await outcome(call);
  expect(failure).toBeInstanceOf(CodeError);
  expect(failure).toMatchObject({ ...error, name: "CodeError" });
});

test("an error of no shape is an internal one", async () => {
  const world = new World();
  const socket = await world.online();
  const call = world.client.command("fail");
  socket.say({ id: socket.next().id, command: "fail", error: { code: 7 } });
  expect(await outcome(call)).toMatchObject({ code: "internal", message: "internal", retryable: false });
});

test("trap_g_calls_in_flight_reject_when_the_socket_closes", async () => {
  const world = new World();
  const socket = await world.online();
  const call = world.client.command("echo");
  socket.close(1006);
  expect(await outcome(call)).toMatchObject({ code: "disconnected", sent: true, retryable: true });
});

test("a command that gets no answer times out in the origin's words", async () => {
  const world = new World();
  await world.online();
  const call = world.client.command("echo", 1, 250);
  call.catch(() => {});
  await world.clock.advance(249);
  expect(await outcome(call)).toBe("pending");
  await world.clock.advance(1);
  expect(await outcome(call)).toMatchObject({
    message: "Command timed out after 250ms.",
    code: "ETIMEOUT",
    name: "TimeoutError",
    sent: true,
  });
});

test("each deadline holds, whatever the order", async () => {
  const world = new World();
  await world.online();
  const order: number[] = [];
  for (const ms of [300, 100, 200]) world.client.command("echo", 1, ms).catch(() => order.push(ms));
  await world.clock.advance(1_000);
  expect(order).toEqual([100, 200, 300]);
});

test("a command connects first", async () => {
  const world = new World();
  const call = world.client.command("echo", 1);
  await settle();
  world.socket.hello();
  expect(world.socket.answer(1)).toMatchObject({ command: "echo", payload: 1 });
  expect(await call).toBe(1);
});

test("offline commands are sent in order after a reconnect, as they were when given", async () => {
  const world = new World();
  (await world.online()).close(1006);
  const payload = { n: 1 };
  const calls = [world.client.command("a", payload), world.client.command("b"), world.client.command("c")];
  payload.n = 2;
  const socket = await world.again();
  expect(socket.answer(1)).toEqual({ id: 1, command: "a", payload: { n: 1 } });
  expect(socket.answer(2)).toMatchObject({ command: "b" });
  expect(socket.answer(3)).toMatchObject({ command: "c" });
  expect(await Promise.all(calls)).toEqual([1, 2, 3]);
});

test("an offline command expires, and is not sent after that", async () => {
  const world = new World({ reconnectInterval: 20_000 });
  (await world.online()).close(1006);
  const call = world.client.command("a", null, 50);
  call.catch(() => {});
  await world.clock.advance(50);
  expect(await outcome(call)).toMatchObject({ code: "ETIMEOUT", sent: false });
  const socket = await world.again();
  expect(socket.sent).toHaveLength(1);
});

test("the offline queue is bounded by count and by bytes", async () => {
  const world = new World({ queue: { commands: 2, bytes: 1_000 } });
  (await world.online()).close(1006);
  const large = world.client.command("a", "x".repeat(1_000));
  expect(await outcome(large)).toMatchObject({ code: "queue_full", retryable: true });
  const kept = [world.client.command("a"), world.client.command("b")];
  expect(await outcome(world.client.command("c"))).toMatchObject({ code: "queue_full" });
  const socket = await world.again();
  expect(socket.answer(1).command).toBe("a");
  expect(socket.answer(2).command).toBe("b");
  await Promise.all(kept);
});

test("a command that must not wait rejects at once", async () => {
  const world = new World();
  const call = world.client.command("a", null, { offline: "fail" });
  expect(await outcome(call)).toMatchObject({ code: "disconnected", sent: false, retryable: true });
  expect(world.sockets).toHaveLength(0);
});

test("an aborted command rejects, and its late answer harms nobody", async () => {
  const world = new World();
  const socket = await world.online();
  const stop = new AbortController();
  const remove = vi.spyOn(stop.signal, "removeEventListener");
  const call = world.client.command("a", null, { signal: stop.signal });
  const { id } = socket.next();
  stop.abort();
  expect(await outcome(call)).toMatchObject({ code: "cancelled", name: "AbortError", sent: true });
  expect(remove).toHaveBeenCalled();
  const other = world.client.command("b");
  socket.say({ id, command: "a", payload: "late" });
  socket.answer("own");
  expect(await other).toBe("own");
  const early = world.client.command("c", null, { signal: stop.signal });
  expect(await outcome(early)).toMatchObject({ code: "cancelled", sent: false });
  expect(() => socket.next()).toThrow();
});

test("an aborted command rejects with the reason that abort was given", async () => {
  const world = new World();
  await world.online();
  const stop = new AbortController();
  const call = world.client.command("a", null, { signal: stop.signal });
  const reason = new Error("the user went elsewhere");
  stop.abort(reason);
  expect(await outcome(call)).toBe(reason);
});

test("what is no JSON or too large is refused here and costs no connection", async () => {
  const world = new World();
  const socket = await world.online();
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  expect(await outcome(world.client.command("a", circle))).toMatchObject({ code: "bad_payload" });
  expect(await outcome(world.client.command("a", "é".repeat(140_000)))).toMatchObject({ code: "too_large" });
  expect(socket.sent).toHaveLength(1);
});

test("frames that are none are ignored", async () => {
  const world = new World();
  const socket = await world.online();
  const call = world.client.command("a");
  const { id } = socket.next();
  for (const text of [
    "",
    "{",
    "null",
    "[]",
    "7",
    '"x"',
    "{}",
    `{"id":"${id}"}`,
    '{"id":null}',
    '{"command":7}',
  ]) {
    socket.say(text);
  }
  socket.say({ id: 999, command: "a", payload: 1 });
  expect(await outcome(call)).toBe("pending");
  socket.say({ id, command: "a", payload: 1 });
  expect(await call).toBe(1);
});

test("names such as __proto__ are names", async () => {
  const world = new World();
  const socket = await world.online();
  const pushed: unknown[] = [];
  for (const name of ["__proto__", "constructor", "toString"]) {
    socket.say({ command: name, payload: 0 });
    world.client.onPush(name, (payload) => pushed.push([name, payload]));
    socket.say({ command: name, payload: 1 });
    const call = world.client.command(name, JSON.parse(`{"${name}": 1}`));
    expect(socket.answer(name)).toMatchObject({ command: name });
    expect(await call).toBe(name);
    const joined = world.client.joinRoom(name);
    socket.answer({ success: true, present: ["conn-1"], count: 1, truncated: false });
    expect(await joined).toMatchObject({ success: true, count: 1 });
  }
  expect(pushed).toEqual([
    ["__proto__", 1],
    ["constructor", 1],
    ["toString", 1],
  ]);
  socket.close(1006);
  const next = await world.again();
  expect(next.sent.slice(1).map((frame) => (frame as { payload: unknown }).payload)).toEqual([
    { roomName: "__proto__" },
    { roomName: "constructor" },
    { roomName: "toString" },
  ]);
});

test("a message is refused by its exact length, whether there is a connection or not", async () => {
  const world = new World();
  const socket = await world.online();
  const envelope = '{"id":65535,"command":"a","payload":""}'.length;
  const fits = world.client.command("a", "x".repeat(262_144 - envelope));
  expect(socket.answer(1)).toMatchObject({ command: "a" });
  expect(await fits).toBe(1);
  const large = "x".repeat(262_145 - envelope);
  expect(await outcome(world.client.command("a", large))).toMatchObject({ code: "too_large", sent: false });
  socket.close(1006);
  expect(await outcome(world.client.command("a", large))).toMatchObject({ code: "too_large", sent: false });
});

test("no more commands are sent than the server lets wait, and the rest follow in order", async () => {
  const world = new World();
  (await world.online()).close(1006);
  const order: unknown[] = [];
  const give = (from: number, to: number): void => {
    for (let i = from; i < to; i += 1) world.client.command("echo", i).then((value) => order.push(value));
  };
  give(0, 1_000);
  const socket = await world.again();
  give(1_000, 2_000);
  // 32 run and 1,024 wait there; the others wait here.
  expect(socket.sent.length - socket.read).toBe(32 + 1_024);
  for (let i = 0; i < 2_000; i += 1) {
    expect(socket.sent.length - socket.read).toBeLessThanOrEqual(32 + 1_024);
    const { id, payload } = socket.next();
    expect(payload).toBe(i);
    socket.say({ id, command: "echo", payload });
  }
  await settle();
  expect(order).toEqual(Array.from({ length: 2_000 }, (_, i) => i));
});

test("no more bytes are sent than the server lets wait", async () => {
  const world = new World();
  const socket = await world.online();
  for (let i = 0; i < 40; i += 1) void world.client.command("echo", "x".repeat(10_000));
  expect(socket.sent.length - socket.read).toBe(32);
  for (let i = 0; i < 40; i += 1) socket.answer(null);
  expect(() => socket.next()).toThrow();
});

test("a command that timed out still counts as one the server works on", async () => {
  const limits = { messageBytes: 262_144, inFlight: 1, waiting: 0 };
  const world = new World();
  world.client.connect();
  await settle();
  world.socket.open();
  world.socket.say({ id: world.socket.next().id, command: "mesh/hello", payload: { limits } });
  const slow = world.client.command("slow", null, 100);
  slow.catch(() => {});
  const next = world.client.command("next");
  const { id } = world.socket.next();
  await world.clock.advance(100);
  expect(await outcome(slow)).toMatchObject({ code: "ETIMEOUT" });
  expect(() => world.socket.next()).toThrow();
  world.socket.say({ id, command: "slow", payload: "late" });
  expect(world.socket.answer(1)).toMatchObject({ command: "next" });
  expect(await next).toBe(1);
});

test("nothing that comes over the wire changes Object.prototype", async () => {
  const before = Object.getOwnPropertyNames(Object.prototype);
  const world = new World();
  const socket = await world.online();
  const evil = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
  for (const name of ["__proto__", "constructor", "toString"]) {
    const room = world.client.joinRoom(name);
    const { id } = socket.next();
    socket.say(
      `{"id":${id},"command":"mesh/join-room","payload":${evil},"__proto__":{"error":{"code":"x"}}}`,
    );
    expect(await room).toMatchObject({ present: [], count: 0 });
    socket.say(`{"command":"${name}","payload":${evil}}`);
    const metadata = world.client.getRoomMetadata(name);
    socket.say(`{"id":${socket.next().id},"command":"m","error":${evil}}`);
    expect(await metadata).toBeNull();
  }
  expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});
