import { expect, test } from "vitest";
import { Status } from "../src/index.js";
import { outcome, settle, World } from "./world.js";

const dropped = { code: "dropped", retryable: true, sent: false };
const volatile = { volatile: true };

test("what is volatile is sent like anything else where nothing is in its way", async () => {
  const world = new World();
  const socket = await world.online();
  const call = world.client.command("cursor", 1, volatile);
  expect(socket.answer("moved")).toMatchObject({ command: "cursor", payload: 1 });
  expect(await call).toBe("moved");
});

test("without a connection what is volatile is dropped at once, is not sent later, and makes none", async () => {
  const world = new World();
  expect(await outcome(world.client.command("cursor", 1, volatile))).toMatchObject(dropped);
  expect(await world.client.publishChannel("a", 1, volatile)).toMatchObject({
    success: false,
    error: dropped,
  });
  expect(await outcome(world.client.writeRecord("a", 1, volatile))).toMatchObject(dropped);
  expect(await world.client.publishRecordUpdate("a", 1, volatile)).toBe(false);
  expect(world.client.status).toBe(Status.OFFLINE);
  (await world.online()).close(1006);
  expect(await outcome(world.client.command("cursor", 2, volatile))).toMatchObject(dropped);
  expect((await world.again()).sent).toHaveLength(1);
});

test("behind more than 64 KiB that the socket has not sent what is volatile is dropped, and nothing else", async () => {
  const world = new World();
  const socket = await world.online();
  socket.bufferedAmount = 65_536;
  void world.client.command("cursor", 1, volatile);
  expect(socket.next()).toMatchObject({ payload: 1 });
  socket.bufferedAmount = 65_537;
  expect(await outcome(world.client.command("cursor", 2, volatile))).toMatchObject(dropped);
  void world.client.command("say", "kept");
  expect(socket.next()).toMatchObject({ payload: "kept" });
  socket.bufferedAmount = 0;
  void world.client.command("cursor", 3, volatile);
  expect(socket.next()).toMatchObject({ payload: 3 });
});

test("what is sent from within one listener counts before the socket has it", async () => {
  const world = new World();
  const socket = await world.online();
  const drops: unknown[] = [];
  world.client.onPush("go", () => {
    void world.client.command("large", "x".repeat(70_000));
    world.client.command("cursor", 1, volatile).catch((error) => drops.push(error));
  });
  socket.say({ command: "go", payload: null });
  await settle();
  expect(drops).toMatchObject([dropped]);
  void world.client.command("cursor", 2, volatile);
  expect(socket.sent.slice(1)).toMatchObject([{ command: "large" }, { payload: 2 }]);
});

test("where the server takes no more what is volatile is dropped", async () => {
  const world = new World({ queue: { commands: 2_000 } });
  const socket = await world.online();
  for (let i = 0; i < 1_056; i += 1) void world.client.command("echo", i);
  expect(await outcome(world.client.command("cursor", 1, volatile))).toMatchObject(dropped);
  socket.answer(0);
  void world.client.command("cursor", 2, volatile);
  expect(socket.sent.at(-1)).toMatchObject({ payload: 2 });
});

test("what is volatile and has a rate is dropped at its turn, or when the connection is gone", async () => {
  const world = new World();
  const socket = await world.online();
  const options = { volatile: true, maxRate: 10 };
  const move = (n: number) => world.client.command("cursor", n, options);
  void move(0).catch(() => {});
  const late = Promise.allSettled([move(1), move(2)]);
  socket.bufferedAmount = 65_537;
  await world.clock.advance(100);
  expect(await late).toMatchObject([{ reason: dropped }, { reason: dropped }]);
  expect(socket.sent).toHaveLength(2);
  socket.bufferedAmount = 0;
  await world.clock.advance(100);
  void move(3).catch(() => {});
  const waiting = move(4);
  socket.close(1006);
  expect(await outcome(waiting)).toMatchObject(dropped);
  expect((await world.again()).sent).toHaveLength(1);
});

test("a closed client says so", async () => {
  const world = new World();
  await world.client.close();
  expect(await outcome(world.client.command("cursor", 1, volatile))).toMatchObject({ code: "closed" });
});
