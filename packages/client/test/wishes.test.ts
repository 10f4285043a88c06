import { expect, test } from "vitest";
import { Status } from "../src/index.js";
import { at, epoch, Heard, messages, push, refuse } from "./streams.js";
import { outcome, settle, World } from "./world.js";

const plain = { success: true, messages: [] };

/** Lets time pass without a connection, in steps of 6 s. */
async function away(world: World, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 6_000) {
    await world.clock.advance(6_000);
    if (world.socket.state !== "closed") world.socket.close(1006);
  }
}

test("a subscription without connection waits for one, and needs no call of connect", async () => {
  const world = new World();
  const heard = new Heard();
  const done = world.client.subscribeChannel("chat:1", heard.callback, { historyLimit: 1 });
  expect(world.client.status).toBe(Status.CONNECTING);
  await settle();
  world.socket.hello();
  world.socket.answer(messages(7, 7));
  expect(await done).toEqual({ success: true, history: ["m7"] });
  expect(heard.all).toEqual(["m7"]);
});

test("a subscription whose answer never came is made again, and settles", async () => {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  const done = world.client.subscribeChannel("chat:1", heard.callback, { historyLimit: 1 });
  socket.next();
  socket.close(1006);
  const next = await world.again();
  expect(next.answer(messages(7, 7)).payload).toEqual({ channel: "chat:1", historyLimit: 1 });
  expect(await done).toMatchObject({ success: true, history: ["m7"] });
});

test("a subscription for which no connection comes times out, and is forgotten", async () => {
  const world = new World();
  const first = await world.online();
  first.close(1006);
  const done = world.client.subscribeChannel("chat:1", () => {});
  await away(world, 30_000);
  expect(await done).toMatchObject({ success: false, error: { code: "ETIMEOUT", sent: false } });
  expect((await world.again()).sent).toHaveLength(1);
});

test("of two waits of one callback the second outlives the first", async () => {
  const world = new World();
  const heard = new Heard();
  (await world.online()).close(1006);
  const first = world.client.subscribeChannel("chat:1", heard.callback);
  await away(world, 24_000);
  const second = world.client.subscribeChannel("chat:1", heard.callback);
  await away(world, 6_000);
  expect(await first).toMatchObject({ success: false, error: { code: "ETIMEOUT" } });
  const socket = await world.again();
  socket.answer(messages(8, 7));
  expect(await second).toMatchObject({ success: true });
  push(socket, "chat:1", 8);
  expect(heard.all).toEqual(["m8"]);
});

test("a subscription that is not answered in time is ended at the server as well", async () => {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  const done = world.client.subscribeChannel("chat:1", heard.callback);
  socket.next();
  await world.clock.advance(15_000);
  socket.say({ command: "ping", payload: {} });
  await world.clock.advance(15_000);
  expect(await done).toMatchObject({ success: false, error: { code: "ETIMEOUT", sent: true } });
  expect(socket.next().command).toBe("pong");
  expect(socket.answer(true)).toMatchObject({ command: "mesh/unsubscribe-channel" });
  push(socket, "chat:1", 8);
  expect(heard.all).toEqual([]);
});

test("more subscriptions than may wait are refused", async () => {
  const world = new World({ queue: { commands: 2 } });
  const all = ["a", "b", "c"].map((name) => world.client.subscribeChannel(name, () => {}));
  expect(await outcome(all[2] as Promise<unknown>)).toMatchObject({
    value: { success: false, error: { code: "queue_full" } },
  });
  await settle();
  world.socket.hello();
  world.socket.answer(plain);
  world.socket.answer(plain);
  expect(await all[0]).toMatchObject({ success: true });
  void world.client.subscribeChannel("c", () => {});
  const slow = world.socket.next();
  void world.client.subscribeChannel("d", () => {});
  world.socket.answer(plain);
  void world.client.subscribeChannel("e", () => {});
  expect(world.socket.answer(plain).payload).toEqual({ channel: "e" });
  expect(slow.payload).toEqual({ channel: "c" });
});

test("subscriptions under way do not count when they have ended, in whatever way", async () => {
  const world = new World();
  const first = await world.online();
  const all = Array.from({ length: 200 }, (_, i) => world.client.subscribeChannel(`chat:${i}`, () => {}));
  expect(first.sent).toHaveLength(1 + 64);
  first.close(1006);
  const socket = await world.again();
  expect(socket.sent).toHaveLength(1 + 64);
  for (let i = 0; i < 200; i += 1) await refuse(socket, "forbidden");
  expect(await Promise.all(all)).toMatchObject(all.map(() => ({ success: false })));
});

test("a subscription waits until the server has room for it", async () => {
  const world = new World({ queue: { commands: 2_000 } });
  const socket = await world.online();
  for (let i = 0; i < 1_056; i += 1) void world.client.command("echo", i);
  void world.client.subscribeChannel("chat:1", () => {});
  expect(socket.sent).toHaveLength(1 + 1_056);
  socket.answer(0);
  expect(socket.sent.at(-1)).toMatchObject({ command: "mesh/subscribe-channel" });
});

test("an unsubscription that fails for now is made again, and one that fails for good is not", async () => {
  for (const retryable of [true, false]) {
    const world = new World();
    const socket = await world.online();
    void world.client.subscribeChannel("chat:1", () => {});
    socket.answer(plain);
    const left = world.client.unsubscribeChannel("chat:1");
    await refuse(socket, "whatever", retryable);
    expect(await left).toBe(true);
    await world.clock.advance(8_000);
    expect(socket.sent.length - socket.read).toBe(retryable ? 1 : 0);
  }
});

test("trap_w_the_last_wish_wins", async () => {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  const first = world.client.subscribeChannel("chat:1", heard.callback);
  const left = world.client.unsubscribeChannel("chat:1");
  expect(await outcome(first)).toMatchObject({ value: { success: false, error: { code: "cancelled" } } });
  const second = world.client.subscribeChannel("chat:1", heard.callback);
  expect(await left).toBe(true);
  // Nothing has to be taken back: the subscription under way is what is wished for again.
  socket.answer(messages(8, 7));
  expect(await second).toMatchObject({ success: true });
  push(socket, "chat:1", 8);
  expect([heard.all, socket.sent.length]).toEqual([["m8"], 2]);
});

test("trap_w_an_unsubscription_overtakes_no_subscription", async () => {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  void world.client.subscribeChannel("chat:1", heard.callback);
  const left = world.client.unsubscribeChannel("chat:1", heard.callback);
  expect(socket.sent).toHaveLength(2);
  socket.answer(messages(8, 7));
  expect(await outcome(left)).toBe("pending");
  expect(socket.answer(true)).toMatchObject({ command: "mesh/unsubscribe-channel" });
  expect(await left).toBe(true);
  push(socket, "chat:1", 8);
  expect(heard.all).toEqual([]);
});

test("trap_w_a_subscription_after_an_unsubscription_begins_anew", async () => {
  const world = new World();
  const socket = await world.online();
  const [first, second] = [new Heard(), new Heard()];
  void world.client.subscribeChannel("chat:1", first.callback);
  socket.answer(messages(8, 7));
  void world.client.unsubscribeChannel("chat:1");
  const done = world.client.subscribeChannel("chat:1", second.callback, { historyLimit: 1 });
  push(socket, "chat:1", 8);
  socket.answer(true);
  expect(socket.answer(messages(9, 9)).payload).toEqual({ channel: "chat:1", historyLimit: 1 });
  expect(await done).toMatchObject({ success: true, history: ["m9"] });
  push(socket, "chat:1", 10);
  expect([first.all, second.all]).toEqual([[], ["m9", "m10"]]);
});

test("trap_w_a_thousand_random_wishes_end_as_the_last_one_says", async () => {
  let state = 1;
  const random = (n: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % n;
  };
  for (let run = 0; run < 100; run += 1) {
    const world = new World();
    let socket = await world.online();
    let subscribed = false;
    let wished = false;
    const heard = new Heard();
    const serve = (): void => {
      const { command } = socket.answer({ ...messages(8, 7), recovered: true });
      subscribed = command === "mesh/subscribe-channel";
    };
    for (let step = 0; step < 10; step += 1) {
      const what = random(8);
      if (what === 0) {
        socket.close(1006);
        subscribed = false;
        socket = await world.again();
      } else if (what < 4 && socket.sent.length > socket.read) serve();
      else {
        wished = random(2) === 0;
        if (wished) void world.client.subscribeChannel("chat:1", heard.callback);
        else void world.client.unsubscribeChannel("chat:1");
      }
      await settle();
    }
    while (socket.sent.length > socket.read) serve();
    expect(subscribed, `run ${run}`).toBe(wished);
    heard.all.length = 0;
    push(socket, "chat:1", 8);
    expect(heard.all, `run ${run}`).toEqual(wished ? ["m8"] : []);
  }
});

test("a channel that is unsubscribed while there is no connection is not subscribed again", async () => {
  const world = new World();
  const first = await world.online();
  void world.client.subscribeChannel("chat:1", () => {});
  first.answer(plain);
  first.close(1006);
  const queued = world.client.subscribeChannel("chat:2", () => {});
  expect(await world.client.unsubscribeChannel("chat:1")).toBe(true);
  expect(await world.client.unsubscribeChannel("chat:2")).toBe(true);
  expect(await queued).toMatchObject({ success: false, error: { code: "cancelled" } });
  expect((await world.again()).sent).toHaveLength(1);
});

test("an unsubscription settles when the connection breaks", async () => {
  const world = new World();
  const socket = await world.online();
  void world.client.subscribeChannel("chat:1", () => {});
  socket.answer(plain);
  const left = world.client.unsubscribeChannel("chat:1");
  expect(await outcome(left)).toBe("pending");
  socket.close(1006);
  expect(await left).toBe(true);
  expect((await world.again()).sent).toHaveLength(1);
});

test("a client that is closed ends what waits, and subscribes no more", async () => {
  const world = new World();
  const socket = await world.online();
  void world.client.subscribeChannel("chat:1", () => {});
  socket.answer(plain);
  const left = world.client.unsubscribeChannel("chat:1");
  const waiting = world.client.subscribeChannel("chat:2", () => {});
  await world.client.close();
  expect(await left).toBe(true);
  expect(await waiting).toMatchObject({ success: false, error: { code: "closed" } });
  expect(await world.client.subscribeChannel("chat:3", () => {})).toMatchObject({
    success: false,
    error: { code: "closed" },
  });
  expect(world.clock.timers).toBe(0);
});

test("a client that is given up ends what waits, and resumes what it had after the next connect", async () => {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  void world.client.subscribeChannel("chat:1", heard.callback);
  socket.answer(messages(8, 7));
  const waiting = world.client.subscribeChannel("chat:2", () => {});
  socket.close(4201, "disconnected");
  expect(await waiting).toMatchObject({ success: false, error: { code: "disconnected" } });
  expect(await world.client.subscribeChannel("chat:2", () => {})).toMatchObject({ success: false });
  const next = await world.online();
  expect(next.answer({ ...messages(8, 8), recovered: true }).payload).toMatchObject({ after: at(7) });
  expect(heard.all).toEqual(["m8"]);
});

test("a thousand subscriptions come back 64 at a time, together with what the application sends", async () => {
  const world = new World({ queue: { commands: 2_000 } });
  const first = await world.online();
  const heard = new Heard();
  for (let i = 0; i < 1_000; i += 1) {
    void world.client.subscribeChannel(`chat:${i}`, heard.callback);
    first.answer(messages(8, 7));
  }
  first.close(1006);
  for (let i = 0; i < 1_500; i += 1) void world.client.command("echo", i);
  const socket = await world.again();
  let subscriptions = 0;
  while (socket.sent.length > socket.read) {
    const waiting = socket.sent.slice(socket.read) as { command: string }[];
    expect(waiting.length).toBeLessThanOrEqual(1_056);
    const ours = waiting.filter(({ command }) => command === "mesh/subscribe-channel");
    expect(ours.length).toBeLessThanOrEqual(64);
    const { command, payload } = socket.answer({ ...messages(8, 8), recovered: true, epoch });
    if (command !== "mesh/subscribe-channel") continue;
    subscriptions += 1;
    expect(payload).toMatchObject({ after: at(7) });
  }
  expect([subscriptions, heard.all.length]).toEqual([1_000, 1_000]);
});
