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
  world.wake();
  await world.clock.advance(1_000);
  socket.answer(true);
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
  const heard: string[] = [];
  const end = watchPage((what) => heard.push(what));
  page.dispatchEvent(new Event("visibilitychange"));
  page.visibilityState = "visible";
  page.dispatchEvent(new Event("visibilitychange"));
  frame.dispatchEvent(new Event("online"));
  frame.dispatchEvent(new Event("pageshow"));
  expect(heard).toEqual(["hide", "show", "wake", "wake"]);
  end();
  page.dispatchEvent(new Event("visibilitychange"));
  frame.dispatchEvent(new Event("online"));
  expect(heard).toHaveLength(4);
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

test("what was read before the machine slept is no answer to the question whether the connection lives", async () => {
  const world = new World();
  const socket = await world.online();
  world.wake();
  socket.say({ command: "ping", payload: {} });
  socket.say({ command: "news", payload: 1 });
  await world.clock.advance(2_000);
  expect(socket.hungup).toEqual({ code: 4001, dead: true });
  expect(world.sockets).toHaveLength(2);
});

test("p4c_a_hidden_page_makes_no_attempt_and_is_online_one_round_trip_after_it_is_seen", async () => {
  const reasons: string[] = [];
  const world = new World({ auth: ({ reason }) => void reasons.push(reason), maxReconnectAttempts: 3 });
  const socket = await world.online();
  world.wake("hide");
  socket.close(1006);
  // The network comes and goes, and still nobody looks.
  world.wake();
  await world.clock.advance(3_600_000);
  expect([world.sockets.length, world.client.status]).toEqual([1, Status.RECONNECTING]);
  expect([world.clock.timers, world.client.retryMs]).toEqual([0, undefined]);
  world.wake("show");
  await settle();
  world.socket.hello();
  expect([world.sockets.length, world.client.status]).toEqual([2, Status.ONLINE]);
  expect(reasons).toEqual(["initial", "wake"]);
});

test("a hidden page keeps a living connection, and connects when the application asks for it", async () => {
  const world = new World();
  const connected = world.client.connect();
  world.wake("hide");
  await settle();
  world.socket.hello();
  await connected;
  await world.clock.advance(10_000);
  expect(world.client.status).toBe(Status.ONLINE);
  world.socket.close(1006);
  const again = world.client.connect();
  await settle();
  world.socket.hello();
  await again;
  expect(world.client.status).toBe(Status.ONLINE);
});

test("a wake begins the back-off anew", async () => {
  const world = new World();
  (await world.online()).close(1006);
  for (let i = 0; i < 4; i += 1) {
    await world.clock.advance(30_000);
    if (world.socket.state === "connecting") world.socket.close(1006);
  }
  expect(world.client.retryMs).toBeGreaterThan(5_000);
  await world.clock.advance(1_000);
  world.wake();
  await settle();
  world.socket.close(1006);
  expect(world.client.retryMs).toBe(1_000);
});

test("what a listener throws goes to the platform where nobody listens to errors", async () => {
  const world = new World();
  const boom = new Error("boom");
  const fail = (): void => {
    throw boom;
  };
  world.client.onPush("x", fail).call(undefined);
  world.client.onConnect(fail);
  await world.online();
  expect(world.reported).toEqual([boom]);
  world.client.on("error", fail);
  world.client.onPush("x", fail);
  world.socket.say({ command: "x", payload: 1 });
  expect(world.reported).toEqual([boom, boom]);
  expect(world.client.status).toBe(Status.ONLINE);
});

test("the server's time is told from the answer to the hello", async () => {
  const world = new World();
  expect(world.client.serverTime).toBeUndefined();
  const connected = world.client.connect();
  await settle();
  world.socket.open();
  await world.clock.advance(100);
  const { id } = world.socket.next();
  world.socket.say({ id, command: "mesh/hello", payload: { serverTime: 1_795_493_552_000 } });
  await connected;
  expect(world.client.serverTime).toBe(1_795_493_552_050);
  await world.clock.advance(1_000);
  expect(world.client.serverTime).toBe(1_795_493_553_050);
});

test("a listener that closes the client while an attempt begins leaves nothing behind", async () => {
  const auth = vi.fn(() => "token");
  const world = new World({ auth });
  world.client.on("status", () => void world.client.close());
  expect(await outcome(world.client.connect())).toMatchObject({ code: "closed" });
  expect([world.watched, world.clock.timers, world.sockets.length]).toEqual([0, 0, 0]);
  expect(auth).not.toHaveBeenCalled();
});
