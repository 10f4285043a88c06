import { expect, test } from "vitest";
import { backoffMs } from "../src/backoff.js";
import { closeClass } from "../src/closes.js";
import { CodeError, Status } from "../src/index.js";
import { outcome, settle, World } from "./world.js";

const joined = { success: true, present: ["conn-1"], count: 1, truncated: false };

test("trap_g_rooms_are_joined_again_before_queued_commands_are_sent", async () => {
  const world = new World();
  const first = await world.online();
  for (const room of ["a", "b", "left"]) {
    const done = world.client.joinRoom(room);
    first.answer(joined);
    await done;
  }
  const left = world.client.leaveRoom("left");
  first.answer({ success: true });
  expect(await left).toEqual({ success: true });
  first.close(1006);
  const queued = world.client.command("echo", 1);
  const socket = await world.again();
  expect(world.client.status).toBe(Status.RECONNECTING);
  expect(socket.sent).toHaveLength(3);
  expect(socket.answer(joined).payload).toEqual({ roomName: "a" });
  expect(socket.sent).toHaveLength(3);
  expect(socket.answer(joined).payload).toEqual({ roomName: "b" });
  expect(world.client.status).toBe(Status.ONLINE);
  expect(socket.answer(1)).toMatchObject({ command: "echo" });
  expect(await queued).toBe(1);
});

test("a room that refuses to be joined again is forgotten, and does not keep the client offline", async () => {
  const world = new World();
  const codes: string[] = [];
  const first = await world.online();
  void world.client.joinRoom("a");
  first.answer(joined);
  await settle();
  first.close(1006);
  const socket = await world.again();
  world.client.on("error", ({ code, details }) => codes.push(code, JSON.stringify(details)));
  const { id } = socket.next();
  socket.say({
    id,
    command: "mesh/join-room",
    error: { code: "forbidden", message: "no", retryable: false },
  });
  expect(world.client.status).toBe(Status.ONLINE);
  expect(codes).toEqual(["forbidden", '{"roomName":"a"}']);
  socket.close(1006);
  await world.again();
  expect(world.socket.sent).toHaveLength(1);
});

test("a room that cannot be joined for now is tried again", async () => {
  const world = new World();
  const first = await world.online();
  void world.client.joinRoom("a");
  first.answer(joined);
  await settle();
  first.close(1006);
  const socket = await world.again();
  const { id } = socket.next();
  socket.say({ id, command: "mesh/join-room", error: { code: "unavailable", message: "", retryable: true } });
  expect(world.client.status).toBe(Status.ONLINE);
  await world.clock.advance(8_000);
  expect(socket.answer(joined)).toMatchObject({ command: "mesh/join-room", payload: { roomName: "a" } });
  await world.clock.advance(20_000);
  expect(() => socket.next()).toThrow();
});

test("a refused join is a result, and is not repeated", async () => {
  const world = new World();
  const socket = await world.online();
  const refused = world.client.joinRoom("secret");
  const { id } = socket.next();
  socket.say({
    id,
    command: "mesh/join-room",
    error: { code: "forbidden", message: "no", retryable: false },
  });
  expect(await refused).toMatchObject({
    success: false,
    present: [],
    count: 0,
    error: { code: "forbidden" },
  });
  socket.close(1006);
  expect((await world.again()).sent).toHaveLength(1);
});

test("a room left while its join was under way is not joined again", async () => {
  const world = new World();
  const socket = await world.online();
  const join = world.client.joinRoom("a");
  const leave = world.client.leaveRoom("a");
  socket.answer(joined);
  socket.answer({ success: true });
  await Promise.all([join, leave]);
  socket.close(1006);
  expect((await world.again()).sent).toHaveLength(1);
});

test("many rooms are joined again a few at a time", async () => {
  const world = new World();
  const first = await world.online();
  for (let i = 0; i < 100; i += 1) {
    void world.client.joinRoom(`room:${i}`);
    first.answer(joined);
  }
  first.close(1006);
  const socket = await world.again();
  for (let i = 0; i < 100; i += 1) {
    expect(socket.sent.length - socket.read).toBeLessThanOrEqual(16);
    socket.answer(joined);
  }
  expect(world.client.status).toBe(Status.ONLINE);
});

test("trap_g_the_first_reconnect_is_jittered_and_later_ones_grow_up_to_30_s", async () => {
  const world = new World();
  const first = await world.online();
  const waits: number[] = [];
  first.close(1006);
  for (let i = 0; i < 7; i += 1) {
    const from = world.clock.now();
    const before = world.sockets.length;
    while (world.sockets.length === before) await world.clock.advance(100);
    waits.push(world.clock.now() - from);
    world.socket.close(1006);
  }
  // Half of 2, 4, 8, 16, 30, 30 s, since the random number is always 0.5.
  expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  expect(backoffMs(2_000, 1, () => 0)).toBe(0);
  expect(backoffMs(2_000, 1, () => 0.999)).toBeCloseTo(1_998);
});

test("trap_u_a_server_that_drops_every_connection_is_dialled_ever_more_slowly", async () => {
  const world = new World({ reconnectInterval: 0 });
  await world.online();
  let dials = 0;
  const end = world.clock.now() + 600_000;
  world.socket.close(1006);
  while (world.clock.now() < end) {
    const before = world.sockets.length;
    await world.clock.advance(50);
    if (world.sockets.length === before) continue;
    dials += 1;
    world.socket.hello();
    world.socket.close(1006);
  }
  expect(dials).toBeLessThan(60);
});

test("trap_u_a_half_open_socket_is_given_up_after_10_s_and_there_is_never_a_second", async () => {
  const world = new World();
  world.client.connect().catch(() => {});
  await settle();
  for (let i = 0; i < 6; i += 1) {
    const { socket } = world;
    socket.open();
    await world.clock.advance(10_000);
    expect(socket.hungup).toEqual({ code: 4001, dead: true });
    while (world.socket === socket) await world.clock.advance(500);
  }
  expect(world.clock.now()).toBeGreaterThan(60_000);
});

test("trap_u_only_a_stable_connection_resets_the_back_off", async () => {
  const world = new World();
  await world.online();
  for (let i = 0; i < 5; i += 1) {
    world.socket.close(1006);
    await world.again();
  }
  world.socket.close(1006);
  let from = world.clock.now();
  await world.again();
  expect(world.clock.now() - from).toBe(15_000);
  await world.clock.advance(10_000);
  world.socket.close(1006);
  from = world.clock.now();
  await world.again();
  expect(world.clock.now() - from).toBe(1_000);
});

test("after the last attempt everything rejects, and connect begins anew", async () => {
  const world = new World({ maxReconnectAttempts: 2 });
  const failed: string[] = [];
  world.client.onReconnectFailed(({ code }) => failed.push(code));
  (await world.online()).close(1006);
  const queued = world.client.command("echo", 1, Number.POSITIVE_INFINITY);
  queued.catch(() => {});
  for (let i = 0; i < 2; i += 1) {
    const before = world.sockets.length;
    while (world.sockets.length === before) await world.clock.advance(100);
    world.socket.close(1006);
  }
  expect(failed).toEqual(["ECONNECTION"]);
  expect(await outcome(queued)).toMatchObject({ code: "ECONNECTION" });
  expect(world.client.status).toBe(Status.OFFLINE);
  expect(world.clock.timers).toBe(0);
  await world.online();
  expect(world.client.status).toBe(Status.ONLINE);
});

test("without shouldReconnect a lost connection stays lost until it is needed", async () => {
  const world = new World({ shouldReconnect: false });
  (await world.online()).close(1006);
  await world.clock.advance(100_000);
  expect([world.client.status, world.sockets.length]).toEqual([Status.OFFLINE, 1]);
  const call = world.client.command("echo");
  await settle();
  world.socket.hello();
  world.socket.answer(1);
  expect(await call).toBe(1);
});

test("a connect during the wait joins it instead of dialling", async () => {
  const world = new World();
  (await world.online()).close(1006);
  const connected = world.client.connect();
  await settle();
  expect(world.sockets).toHaveLength(1);
  await world.again();
  await connected;
});

test("close codes are classed by the table, then by their band", () => {
  const retry = [1001, 1005, 1006, 1011, 1012, 1013, 1015, 3000, 4000, 4001, 4002, 4003, 4099];
  const giveUp = [1000, 1002, 1007, 1009, 4200, 4201, 4202, 4203, 4204, 4205, 4999];
  for (const code of retry) expect([code, closeClass(code)]).toEqual([code, "retry"]);
  for (const code of giveUp) expect([code, closeClass(code)]).toEqual([code, "give_up"]);
  for (const code of [4100, 4101, 4199]) expect([code, closeClass(code)]).toEqual([code, "refresh"]);
});

test("p3c_a_token_that_lives_for_5_s_is_renewed_for_ever", async () => {
  const reasons: string[] = [];
  const world = new World({ auth: ({ reason }) => void reasons.push(reason) });
  await world.online();
  for (let i = 0; i < 20; i += 1) {
    await world.clock.advance(5_000);
    world.socket.close(4100, "token_expired");
    await world.again();
    expect(world.client.status).toBe(Status.ONLINE);
  }
  expect(reasons).toEqual(["initial", ...Array.from({ length: 20 }, () => "expired")]);
});

test("trap_u_a_server_that_takes_every_credential_and_then_calls_it_expired_is_dialled_ever_more_slowly", async () => {
  const world = new World();
  await world.online();
  const from = world.clock.now();
  for (let i = 0; i < 10; i += 1) {
    world.socket.close(4100, "token_expired");
    await world.again();
  }
  expect(world.clock.now() - from).toBeGreaterThan(60_000);
});

test("after the last attempt a command connects first, as the first one did", async () => {
  const world = new World({ maxReconnectAttempts: 0 });
  (await world.online()).close(1006);
  expect([world.client.status, world.client.reason?.code]).toEqual([Status.OFFLINE, "ECONNECTION"]);
  const call = world.client.command("echo");
  await settle();
  world.socket.hello();
  world.socket.answer(1);
  expect(await call).toBe(1);
  expect(world.client.reason).toBeUndefined();
});

test("what can never be dialled is dialled once", async () => {
  const world = new World();
  const connected = world.client.connect();
  await settle();
  world.socket.state = "closed";
  world.socket.events.undialable("no address");
  expect(await outcome(connected)).toMatchObject({
    code: "ECONNECTION",
    message: "no address",
    retryable: false,
  });
  await world.clock.advance(600_000);
  expect([world.sockets.length, world.client.status, world.clock.timers]).toEqual([1, Status.OFFLINE, 0]);
});

test("an auth that says that there is nobody ends all attempts", async () => {
  const gone = new CodeError("signed out", "signed_out");
  const world = new World({
    auth: () => {
      throw gone;
    },
  });
  expect(await outcome(world.client.connect())).toBe(gone);
  await world.clock.advance(600_000);
  expect([world.sockets.length, world.client.status]).toEqual([0, Status.OFFLINE]);
});
