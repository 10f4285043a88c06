import { afterEach, expect, test, vi } from "vitest";
import { Status } from "../src/index.js";
import { watchPage } from "../src/wake.js";
import { outcome, settle, World } from "./world.js";

afterEach(() => {
  vi.unstubAllGlobals();
});

test("pings and latency requests are answered at once", async () => {
  const world = new World();
  const socket = await world.online();
  const heard: unknown[] = [];
  world.client.on("ping", () => heard.push("ping")).on("latency", (ms) => heard.push(ms));
  socket.say({ command: "ping", payload: {} });
  socket.say({ command: "latency", payload: 12 });
  socket.say({ command: "latency:request", payload: {} });
  expect(socket.sent.slice(1)).toEqual([
    { command: "pong", payload: {} },
    { command: "latency:response", payload: {} },
  ]);
  expect(heard).toEqual(["ping", 12]);
});

test("a silent server is dropped after pingTimeout times missed pings and one", async () => {
  const world = new World({ pingTimeout: 10_000, maxMissedPings: 2 });
  const socket = await world.online();
  await world.clock.advance(20_000);
  socket.say({ command: "ping", payload: {} });
  await world.clock.advance(29_999);
  expect(world.client.status).toBe(Status.ONLINE);
  await world.clock.advance(1);
  expect(world.client.status).toBe(Status.RECONNECTING);
  expect(socket.hungup).toEqual({ code: 4001, dead: true });
  socket.say({ command: "ping", payload: {} });
  await world.again();
  expect(world.client.connectionId).toBe("conn-2");
});

test("a wake finds a dead connection in 2 s and dials at once", async () => {
  const reasons: string[] = [];
  const world = new World({ auth: ({ reason }) => void reasons.push(reason) });
  const socket = await world.online();
  world.wake();
  world.wake();
  expect(socket.sent.slice(1)).toEqual([{ id: 1, command: "mesh/noop" }]);
  const call = world.client.command("echo");
  call.catch(() => {});
  await world.clock.advance(2_000);
  expect(socket.state).toBe("closed");
  expect(world.sockets).toHaveLength(2);
  expect(await outcome(call)).toMatchObject({ code: "disconnected" });
  expect(reasons).toEqual(["initial", "wake"]);
});

test("a wake leaves a living connection alone", async () => {
  const world = new World();
  const socket = await world.online();
  world.wake();
  await world.clock.advance(1_000);
  socket.next();
  socket.say({ id: 1, command: "mesh/noop", payload: true });
  await world.clock.advance(5_000);
  expect([world.client.status, world.sockets.length]).toEqual([Status.ONLINE, 1]);
});

test("a wake cuts the wait short, but a burst of them dials no faster than once a second", async () => {
  const world = new World({ reconnectInterval: 30_000 });
  const first = await world.online();
  await world.clock.advance(5_000);
  first.close(1006);
  for (let i = 0; i < 300; i += 1) {
    world.wake();
    await world.clock.advance(10);
    if (world.socket.state === "connecting") world.socket.close(1006);
  }
  expect(world.sockets.length).toBeGreaterThanOrEqual(4);
  expect(world.sockets.length).toBeLessThanOrEqual(5);
});

test("a machine that slept drops what is long dead when it wakes", async () => {
  const world = new World();
  const socket = await world.online();
  world.clock.sleep(3_600_000);
  world.wake();
  expect(socket.state).toBe("closed");
  await settle();
  expect(world.sockets).toHaveLength(2);
});

test("connect comes once and reconnect after it, with the status before them", async () => {
  const world = new World();
  const heard: unknown[] = [];
  world.client
    .onConnect(() => heard.push("connect"))
    .onReconnect(() => heard.push("reconnect"))
    .on("status", (status) => heard.push(status))
    .on("close", ({ code }) => heard.push(code));
  (await world.online()).close(1012, "restart");
  await world.again();
  expect(heard).toEqual([
    Status.CONNECTING,
    Status.ONLINE,
    "connect",
    1012,
    Status.RECONNECTING,
    Status.ONLINE,
    "reconnect",
  ]);
});

test("trap_t_a_push_never_fires_a_lifecycle_event", async () => {
  const world = new World();
  const socket = await world.online();
  const names = [
    "connect",
    "disconnect",
    "reconnect",
    "reconnectfailed",
    "close",
    "error",
    "status",
    "message",
  ] as const;
  const fired: string[] = [];
  const pushed: string[] = [];
  for (const name of names) {
    if (name !== "message") world.client.on(name, () => fired.push(name));
    world.client.onPush(name, () => pushed.push(name));
  }
  for (const command of names) socket.say({ command, payload: { code: 1 } });
  expect(fired).toEqual([]);
  expect(pushed).toEqual(names);
  expect([world.client.status, world.sockets.length]).toEqual([Status.ONLINE, 1]);
});

test("trap_t_an_answer_is_no_push", async () => {
  const world = new World();
  const socket = await world.online();
  const heard: unknown[] = [];
  world.client.onPush("echo", (payload) => heard.push(payload));
  void world.client.command("echo");
  socket.answer(1);
  socket.say({ command: "echo", payload: 2 });
  expect(heard).toEqual([2]);
});

test("names of the protocol reach no push listener", async () => {
  const world = new World();
  const socket = await world.online();
  const heard: string[] = [];
  for (const command of ["ping", "pong", "latency", "latency:request", "mesh/later"]) {
    world.client.onPush(command, () => heard.push(command));
    socket.say({ command, payload: 1 });
  }
  expect(heard).toEqual([]);
});

test("on with any other name hears pushes; off, once and onPush end it", async () => {
  const world = new World();
  const socket = await world.online();
  const heard: string[] = [];
  const always = (): void => void heard.push("on");
  const stop = world.client.onPush("x", () => heard.push("onPush"));
  world.client.on("x", always).once("x", () => heard.push("once"));
  socket.say({ command: "x", payload: 1 });
  expect(heard).toEqual(["onPush", "on", "once"]);
  stop();
  stop();
  world.client.off("x", always);
  socket.say({ command: "x", payload: 1 });
  expect(heard).toHaveLength(3);
});

test("listeners that throw break nothing, and are told of", async () => {
  const world = new World();
  const codes: string[] = [];
  const heard: unknown[] = [];
  const boom = (): void => {
    throw new Error("boom");
  };
  for (const name of ["connect", "status", "message", "ping", "close", "reconnect", "error"] as const) {
    world.client.on(name, boom);
  }
  world.client.on("error", ({ code }) => codes.push(code));
  world.client.onPush("x", boom);
  world.client.onPush("x", (payload) => heard.push(payload));
  const socket = await world.online();
  socket.say({ command: "x", payload: 1 });
  socket.close(1006);
  await world.again();
  expect(world.client.status).toBe(Status.ONLINE);
  expect(heard).toEqual([1]);
  expect(codes.filter((code) => code === "listener_failed").length).toBeGreaterThan(5);
});

test("listeners may call the client in the middle of things", async () => {
  const world = new World();
  let answer: Promise<unknown> = Promise.resolve();
  world.client.onConnect(() => {
    answer = world.client.command("hello");
  });
  const socket = await world.online();
  socket.answer("there");
  expect(await answer).toBe("there");
  world.client.on("message", () => world.client.close());
  socket.say({ command: "x", payload: 1 });
  expect([world.client.status, world.clock.timers]).toEqual([Status.OFFLINE, 0]);
});

test("a page that is seen again, is shown again or is online again wakes the client", () => {
  const page = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  const frame = new EventTarget();
  vi.stubGlobal("document", page);
  vi.stubGlobal("window", frame);
  let woken = 0;
  const end = watchPage(() => {
    woken += 1;
  });
  page.dispatchEvent(new Event("visibilitychange"));
  expect(woken).toBe(0);
  page.visibilityState = "visible";
  page.dispatchEvent(new Event("visibilitychange"));
  frame.dispatchEvent(new Event("online"));
  frame.dispatchEvent(new Event("pageshow"));
  expect(woken).toBe(3);
  end();
  page.dispatchEvent(new Event("visibilitychange"));
  frame.dispatchEvent(new Event("online"));
  expect(woken).toBe(3);
});

test("a listener that connects again when the client gives up gets an attempt of its own", async () => {
  const world = new World();
  const connected: Promise<unknown>[] = [];
  const socket = await world.online();
  world.client.on("status", (status) => {
    if (status === Status.OFFLINE) connected.push(world.client.connect());
  });
  socket.close(4201, "disconnected");
  await settle();
  world.socket.hello();
  await Promise.all(connected);
  expect([connected.length, world.client.status]).toEqual([1, Status.ONLINE]);
});
