import { expect, test } from "vitest";
import { CodeError } from "../src/index.js";
import { at, entries, Heard, messages, otherEpoch, push, pushPlain, refuse } from "./streams.js";
import { World } from "./world.js";

const plain = { success: true, messages: [] };

/** A client that has lost its connection after it had subscribed to `chat:1`, whose last message was that. */
async function dropped(last: number, options = {}) {
  const world = new World();
  const first = await world.online();
  const heard = new Heard();
  const done = world.client.subscribeChannel("chat:1", heard.callback, { onGap: heard.onGap, ...options });
  first.answer(last > 0 ? messages(last + 1, last) : plain);
  await done;
  first.close(1006);
  const socket = await world.again();
  return { world, socket, heard };
}

test("trap_g_after_a_reconnect_what_was_missed_comes_once_and_in_order", async () => {
  const { socket, heard } = await dropped(7);
  const asked = socket.answer({ ...messages(8, 10), recovered: true });
  expect(asked).toMatchObject({ command: "mesh/subscribe-channel" });
  expect(asked.payload).toEqual({ channel: "chat:1", historyLimit: 1_000, after: at(7) });
  push(socket, "chat:1", 10);
  push(socket, "chat:1", 11);
  expect(heard.all).toEqual(["m8", "m9", "m10", "m11"]);
  expect(heard.metas.map(({ replayed }) => replayed)).toEqual([true, true, true, false]);
});

test("pages are followed to the end, and what comes before the last answer waits", async () => {
  const { socket, heard } = await dropped(7);
  const page = (from: number, to: number) => ({ ...at(12), messages: entries(from, to), recovered: true });
  socket.answer({ success: true, ...page(8, 9), more: true });
  expect(socket.answer({ success: true, ...page(10, 11), more: true }).payload).toMatchObject({
    after: at(9),
  });
  push(socket, "chat:1", 13);
  expect(heard.all).toEqual(["m8", "m9", "m10", "m11"]);
  expect(socket.answer({ success: true, ...page(12, 12) }).payload).toMatchObject({ after: at(11) });
  push(socket, "chat:1", 14);
  expect(heard.all).toEqual(["m8", "m9", "m10", "m11", "m12", "m13", "m14"]);
  expect(socket.sent).toHaveLength(socket.read);
});

test("a connection that breaks between two pages goes on after the last message handed out", async () => {
  const { world, socket, heard } = await dropped(7);
  socket.answer({ success: true, ...at(12), messages: entries(8, 9), recovered: true, more: true });
  socket.close(1006);
  const next = await world.again();
  expect(next.answer({ ...messages(10, 12), recovered: true }).payload).toMatchObject({ after: at(9) });
  expect(heard.all).toEqual(["m8", "m9", "m10", "m11", "m12"]);
});

test("p1c_what_is_lost_is_told_once_and_before_anything_later", async () => {
  const { socket, heard } = await dropped(7);
  socket.answer({ ...messages(20, 21), gap: { reason: "expired", missed: 12 } });
  push(socket, "chat:1", 22);
  expect(heard.all).toEqual(["gap expired 12", "m20", "m21", "m22"]);
});

test("a gap tells how many are really missed, also of those that are too many for one answer", async () => {
  const { socket, heard } = await dropped(7);
  socket.answer({ ...messages(19_001, 20_000), gap: { reason: "limit", missed: 19_993 } });
  expect(heard.all.slice(0, 2)).toEqual(["gap limit 18993", "m19001"]);
  expect(heard.all).toHaveLength(1_001);
});

test("an epoch that changed while away is a gap, and all of the new one comes", async () => {
  const { socket, heard } = await dropped(7);
  socket.answer({ ...messages(1, 3, otherEpoch), gap: { reason: "epoch_changed" } });
  push(socket, "chat:1", 4, at(4, otherEpoch));
  expect(heard.all).toEqual(["gap epoch_changed", "m1", "m2", "m3", "m4"]);
});

test("a position that the server does not know leaves nothing out, although the epoch is the same", async () => {
  const { socket, heard } = await dropped(7);
  socket.answer({ ...messages(5, 8), gap: { reason: "epoch_changed" } });
  expect(heard.all).toEqual(["gap epoch_changed", "m5", "m6", "m7", "m8"]);
});

test("p1b_who_had_received_nothing_yet_misses_nothing_either", async () => {
  const { socket, heard } = await dropped(0);
  expect(socket.answer(messages(1, 3)).payload).toEqual({ channel: "chat:1", historyLimit: 1_000 });
  push(socket, "chat:1", 4);
  expect(heard.all).toEqual(["m1", "m2", "m3", "m4"]);
});

test("who had received nothing yet is told if the beginning is lost", async () => {
  const { socket, heard } = await dropped(0);
  socket.answer(messages(6, 8));
  expect(heard.all).toEqual(["gap expired 5", "m6", "m7", "m8"]);
});

test("a channel without history tells after each reconnect that something may have been missed", async () => {
  const { world, socket, heard } = await dropped(0);
  socket.answer(plain);
  pushPlain(socket, "chat:1", "one");
  socket.close(1006);
  const next = await world.again();
  next.answer(plain);
  pushPlain(next, "chat:1", "two");
  expect(heard.all).toEqual(["gap no_history", "one", "gap no_history", "two"]);
});

test("a change of the wishes on a connection that lives is no gap", async () => {
  const { world, socket, heard } = await dropped(0);
  socket.answer(plain);
  heard.all.length = 0;
  void world.client.subscribeChannel("chat:1", heard.callback, { onGap: heard.onGap, maxRate: 1 });
  expect(socket.answer(plain).payload).toEqual({ channel: "chat:1", maxRate: 1, historyLimit: 1 });
  expect(heard.all).toEqual([]);
});

test("who asks for the latest gets the newest after a reconnect, and no backlog", async () => {
  const { socket, heard } = await dropped(7, { latest: true });
  expect(socket.answer(messages(300_000, 300_000)).payload).toEqual({
    channel: "chat:1",
    latest: true,
    historyLimit: 1,
  });
  push(socket, "chat:1", 300_005);
  expect(heard.all).toEqual(["m300000", "m300005"]);
});

test("who asks for the latest hears nothing twice", async () => {
  const { socket, heard } = await dropped(7, { maxRate: 1 });
  socket.answer(messages(7, 7));
  expect(heard.all).toEqual([]);
});

test("a channel that refuses after a reconnect is given up, and that is told", async () => {
  const { world, socket, heard } = await dropped(7);
  const errors: CodeError[] = [];
  world.client.on("error", (error) => errors.push(error));
  await refuse(socket, "forbidden");
  expect(errors).toMatchObject([{ code: "forbidden", details: { channel: "chat:1" } }]);
  expect(errors[0]).toBeInstanceOf(CodeError);
  push(socket, "chat:1", 8);
  expect(heard.all).toEqual([]);
  expect(await world.client.unsubscribeChannel("chat:1")).toBe(false);
});

test("a channel that refuses for now is tried again, and nothing is lost", async () => {
  const { world, socket, heard } = await dropped(7);
  await refuse(socket, "unavailable", true);
  push(socket, "chat:1", 9);
  expect(socket.sent).toHaveLength(socket.read);
  await world.clock.advance(8_000);
  expect(socket.answer({ ...messages(8, 9), recovered: true }).payload).toMatchObject({ after: at(7) });
  push(socket, "chat:1", 10);
  expect(heard.all).toEqual(["m8", "m9", "m10"]);
  await world.clock.advance(9_000);
  expect(socket.sent).toHaveLength(socket.read);
});

test("a resubscription that is not answered is made again, and the gap is not forgotten", async () => {
  const { world, socket, heard } = await dropped(0);
  socket.next();
  await world.clock.advance(20_000);
  socket.say({ command: "ping", payload: {} });
  await world.clock.advance(12_000);
  pushPlain(socket, "chat:1", "before the next attempt");
  await world.clock.advance(7_000);
  pushPlain(socket, "chat:1", "between");
  expect(heard.all).toEqual([]);
  expect(socket.next().command).toBe("pong");
  socket.answer(plain);
  pushPlain(socket, "chat:1", "after");
  expect(heard.all).toEqual(["gap no_history", "between", "after"]);
});

test("what came while a channel refused is part of the gap", async () => {
  const { world, socket, heard } = await dropped(0);
  pushPlain(socket, "chat:1", "early");
  await refuse(socket, "unavailable", true);
  await world.clock.advance(8_000);
  socket.answer(plain);
  pushPlain(socket, "chat:1", "later");
  expect(heard.all).toEqual(["gap no_history", "later"]);
});

test("an answer that is behind takes nothing back", async () => {
  const { socket, heard } = await dropped(7);
  socket.answer({ ...messages(8, 7), ...at(5), recovered: true });
  for (const offset of [6, 7, 8]) push(socket, "chat:1", offset);
  expect(heard.all).toEqual(["m8"]);
});

test("a gap that the server tells of while it is asked is told once", async () => {
  const { world, socket, heard } = await dropped(7);
  const gap = { command: "mesh/channel-gap", payload: { channel: "chat:1", reason: "expired", missed: 2 } };
  socket.say(gap);
  socket.answer({ ...messages(10, 10), gap: { reason: "expired", missed: 2 } });
  expect(heard.all).toEqual(["gap expired 2", "m10"]);
  void world.client.subscribeChannel("chat:1", heard.callback, { onGap: heard.onGap, maxRate: 1 });
  socket.say(gap);
  socket.answer(plain);
  expect(heard.all).toEqual(["gap expired 2", "m10", "gap no_history"]);
});
