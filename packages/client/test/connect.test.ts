import { expect, test, vi } from "vitest";
import { CodeError, MeshClient, Status } from "../src/index.js";
import { outcome, settle, World } from "./world.js";

test("connect resolves after the answer to the hello", async () => {
  const world = new World({ auth: () => "token" });
  const connected = world.client.connect();
  expect(world.client.status).toBe(Status.CONNECTING);
  await settle();
  world.socket.open();
  expect(await outcome(connected)).toBe("pending");
  expect(world.socket.sent).toEqual([
    { id: 0, command: "mesh/hello", payload: { protocol: 1, credential: "token" } },
  ]);
  world.socket.say({ id: 0, command: "mesh/hello", payload: { connectionId: "conn-7" } });
  await connected;
  expect(world.client.status).toBe(Status.ONLINE);
  expect(world.client.connectionId).toBe("conn-7");
});

test("a hello without auth carries no credential", async () => {
  const world = new World();
  const socket = await world.online();
  expect(socket.sent[0]).toEqual({ id: 0, command: "mesh/hello", payload: { protocol: 1 } });
});

test("connect joins an attempt in flight and is idempotent", async () => {
  const world = new World();
  const first = world.client.connect();
  const second = world.client.connect();
  await settle();
  world.socket.hello();
  await Promise.all([first, second]);
  await world.client.connect();
  expect(world.sockets).toHaveLength(1);
});

test("a failed connect rejects with the origin's error", async () => {
  const world = new World({ shouldReconnect: false });
  const connected = world.client.connect();
  await settle();
  world.socket.close(1006);
  const error = await outcome(connected);
  expect(error).toBeInstanceOf(CodeError);
  expect(error).toMatchObject({
    message: "WebSocket connection error",
    code: "ECONNECTION",
    name: "ConnectionError",
  });
  expect(world.client.status).toBe(Status.OFFLINE);
  expect(world.clock.timers).toBe(0);
});

test("a bad token is dialled exactly once", async () => {
  const auth = vi.fn(() => "bad");
  const world = new World({ auth });
  const failed = vi.fn();
  world.client.onReconnectFailed(failed);
  const connected = world.client.connect();
  const queued = world.client.command("echo");
  await settle();
  world.socket.open();
  world.socket.close(4200, "unauthorized");
  expect(await outcome(connected)).toMatchObject({ code: "unauthorized" });
  expect(await outcome(queued)).toMatchObject({ code: "unauthorized" });
  expect(await outcome(world.client.command("echo"))).toMatchObject({ code: "unauthorized" });
  world.wake();
  await world.clock.advance(600_000);
  expect(world.sockets).toHaveLength(1);
  expect(auth).toHaveBeenCalledTimes(1);
  expect(failed).toHaveBeenCalledTimes(1);
  expect(world.clock.timers).toBe(0);
});

test("an expired token is refreshed once, and then given up", async () => {
  const reasons: string[] = [];
  const world = new World({
    auth: async ({ reason }) => {
      reasons.push(reason);
      return reason;
    },
  });
  const connected = world.client.connect();
  await settle();
  world.socket.open();
  world.socket.close(4100, "token_expired");
  await settle();
  world.socket.open();
  expect(world.socket.sent[0]).toMatchObject({ payload: { credential: "expired" } });
  world.socket.close(4199, "something_newer");
  expect(await outcome(connected)).toMatchObject({ code: "something_newer" });
  await world.clock.advance(600_000);
  expect(reasons).toEqual(["initial", "expired"]);
  expect(world.sockets).toHaveLength(2);
});

test("a token that expires after a stable while is refreshed each time", async () => {
  const world = new World();
  await world.online();
  for (let i = 0; i < 3; i += 1) {
    await world.clock.advance(20_000);
    world.socket.close(4100, "token_expired");
    await settle();
    world.socket.hello();
    expect(world.client.status).toBe(Status.ONLINE);
  }
});

test("an auth that fails is asked again later", async () => {
  let calls = 0;
  const world = new World({
    auth: () => {
      calls += 1;
      if (calls === 1) throw new Error("no token server");
      return "token";
    },
  });
  expect(await outcome(world.client.connect())).toMatchObject({
    code: "auth_failed",
    message: "no token server",
  });
  expect(world.sockets).toHaveLength(0);
  await world.again();
  expect(world.client.status).toBe(Status.ONLINE);
});

test("an auth that never answers is not waited for without end", async () => {
  const world = new World({ auth: () => new Promise(() => {}), maxReconnectAttempts: 0 });
  const connected = world.client.connect();
  connected.catch(() => {});
  await world.clock.advance(31_000);
  expect(await outcome(connected)).toMatchObject({ code: "ECONNECTION" });
});

test("close is final", async () => {
  const world = new World();
  const events: string[] = [];
  world.client.onDisconnect(() => events.push("disconnect")).on("close", () => events.push("close"));
  const socket = await world.online();
  const pending = world.client.command("echo");
  world.client.close();
  world.client.close();
  expect(events).toEqual(["close", "disconnect"]);
  expect(socket.hungup).toEqual({ code: 1000, dead: false });
  expect(await outcome(pending)).toMatchObject({ code: "disconnected" });
  expect(await outcome(world.client.connect())).toMatchObject({ code: "closed" });
  expect(await outcome(world.client.command("echo"))).toMatchObject({ code: "closed" });
  world.wake();
  socket.events.closed(1006, "");
  await world.clock.advance(600_000);
  expect(world.sockets).toHaveLength(1);
  expect(world.client.status).toBe(Status.OFFLINE);
  expect(world.client.connectionId).toBeUndefined();
  expect([world.clock.timers, world.watched]).toEqual([0, 0]);
});

test("close during auth and during the dial leaves nothing behind", async () => {
  let token: (value: string) => void = () => {};
  const world = new World({
    auth: () =>
      new Promise((resolve) => {
        token = resolve;
      }),
  });
  const connected = world.client.connect();
  world.client.close();
  token("late");
  expect(await outcome(connected)).toMatchObject({ code: "closed" });
  expect(world.sockets).toHaveLength(0);

  const other = new World();
  other.client.connect().catch(() => {});
  await settle();
  other.client.close();
  expect(other.socket.state).toBe("closed");
  expect([world.clock.timers, other.clock.timers]).toEqual([0, 0]);
});

test("a client that was only made holds nothing and touches no window", () => {
  expect(() => new MeshClient("ws://nowhere")).not.toThrow();
});

test("a credential that is no JSON value fails the attempt", async () => {
  const world = new World({ auth: () => 1n });
  expect(await outcome(world.client.connect())).toMatchObject({ code: "bad_payload" });
  expect(world.sockets).toHaveLength(0);
});

test("a command that can never be sent makes no connection", async () => {
  const world = new World();
  expect(await outcome(world.client.command("a", "x".repeat(262_144)))).toMatchObject({ code: "too_large" });
  expect(world.client.status).toBe(Status.OFFLINE);
  expect(world.sockets).toHaveLength(0);
});
