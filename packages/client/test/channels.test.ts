import { expect, test } from "vitest";
import { Txns } from "../src/txns.js";
import { at, entries, epoch, Heard, messages, otherEpoch, push, pushPlain, refuse } from "./streams.js";
import { outcome, settle, World } from "./world.js";

const plain = { success: true, messages: [] };

/** A client that has subscribed to `chat:1`, whose last message is that. */
async function subscribed(last: number, options = {}) {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  const done = world.client.subscribeChannel("chat:1", heard.callback, { onGap: heard.onGap, ...options });
  socket.answer(last > 0 ? messages(last + 1, last) : plain);
  await done;
  return { world, socket, heard };
}

test("p15b_history_comes_through_the_callback_oldest_first_and_is_answered_newest_first", async () => {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  const done = world.client.subscribeChannel("chat:1", heard.callback, { historyLimit: 3 });
  expect(socket.answer(messages(5, 7))).toMatchObject({
    command: "mesh/subscribe-channel",
    payload: { channel: "chat:1", historyLimit: 3 },
  });
  expect(await done).toEqual({ success: true, history: ["m7", "m6", "m5"] });
  push(socket, "chat:1", 8, { txn: "theirs" });
  expect(heard.all).toEqual(["m5", "m6", "m7", "m8"]);
  expect(heard.metas[0]).toEqual({ replayed: true, own: false, ...at(5) });
  expect(heard.metas[3]).toEqual({ replayed: false, own: false, ...at(8), txn: "theirs" });
});

test("a subscription without options asks for nothing more", async () => {
  const { socket, heard } = await subscribed(0);
  expect(socket.sent[1]).toMatchObject({ payload: { channel: "chat:1" } });
  pushPlain(socket, "chat:1", { any: null });
  pushPlain(socket, "chat:1", null);
  pushPlain(socket, "chat:2", "of another");
  expect(heard.all).toEqual([{ any: null }, null]);
  expect(heard.metas[0]).toEqual({ replayed: false, own: false });
});

test("trap_bb_what_comes_before_the_answer_is_neither_lost_nor_doubled", async () => {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  const done = world.client.subscribeChannel("chat:1", heard.callback, { historyLimit: 2 });
  push(socket, "chat:1", 7);
  push(socket, "chat:1", 8);
  push(socket, "chat:1", 9);
  expect(heard.all).toEqual([]);
  socket.answer(messages(6, 7));
  await done;
  push(socket, "chat:1", 9);
  push(socket, "chat:1", 10);
  expect(heard.all).toEqual(["m6", "m7", "m8", "m9", "m10"]);
});

test("trap_bb_a_message_in_the_same_read_as_the_answer_is_heard", async () => {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  void world.client.subscribeChannel("live:1", heard.callback);
  socket.answer(plain);
  pushPlain(socket, "live:1", "at once");
  expect(heard.all).toEqual(["at once"]);
});

test("trap_k_callbacks_of_one_channel_share_one_subscription", async () => {
  const { world, socket, heard } = await subscribed(7);
  const other = new Heard();
  expect(await world.client.subscribeChannel("chat:1", other.callback)).toEqual({
    success: true,
    history: [],
  });
  push(socket, "chat:1", 8);
  expect(await world.client.unsubscribeChannel("chat:1", heard.callback)).toBe(true);
  push(socket, "chat:1", 9);
  expect([heard.all, other.all]).toEqual([["m8"], ["m8", "m9"]]);
  expect(socket.sent).toHaveLength(socket.read);
  const left = world.client.unsubscribeChannel("chat:1", other.callback);
  expect(socket.answer(true)).toMatchObject({
    command: "mesh/unsubscribe-channel",
    payload: { channel: "chat:1" },
  });
  expect(await left).toBe(true);
  expect(await world.client.unsubscribeChannel("chat:1")).toBe(false);
});

test("trap_k_the_same_callback_twice_is_one", async () => {
  const { world, socket, heard } = await subscribed(7);
  const again = world.client.subscribeChannel("chat:1", heard.callback, { historyLimit: 2 });
  expect(socket.answer({ success: true, messages: entries(6, 7), epoch, truncated: true })).toMatchObject({
    command: "mesh/get-channel-history",
    payload: { channel: "chat:1", limit: 2, before: 8 },
  });
  expect(await again).toEqual({ success: true, history: ["m7", "m6"] });
  push(socket, "chat:1", 8);
  expect(heard.all).toEqual(["m8"]);
  void world.client.unsubscribeChannel("chat:1", heard.callback);
  expect(socket.answer(true)).toMatchObject({ command: "mesh/unsubscribe-channel" });
});

test("trap_k_a_denied_subscription_leaves_no_listener", async () => {
  const world = new World();
  const socket = await world.online();
  const heard = new Heard();
  const denied = world.client.subscribeChannel("secret:1", heard.callback, { historyLimit: 1 });
  await refuse(socket, "forbidden");
  expect(await denied).toMatchObject({ success: false, history: [], error: { code: "forbidden" } });
  push(socket, "secret:1", 1);
  expect(heard.all).toEqual([]);
  expect(await world.client.unsubscribeChannel("secret:1")).toBe(false);
  socket.close(1006);
  expect((await world.again()).sent).toHaveLength(1);
});

test("a callback that joins gets its history and then what came meanwhile, and the others wait for nothing", async () => {
  const { world, socket, heard } = await subscribed(7);
  const late = new Heard();
  const done = world.client.subscribeChannel("chat:1", late.callback, { historyLimit: 2 });
  push(socket, "chat:1", 8);
  expect([heard.all, late.all]).toEqual([["m8"], []]);
  expect(socket.answer({ success: true, messages: entries(6, 7), epoch, truncated: true }).payload).toEqual({
    channel: "chat:1",
    limit: 2,
    before: 8,
  });
  expect(await done).toEqual({ success: true, history: ["m7", "m6"] });
  push(socket, "chat:1", 9);
  expect([heard.all, late.all]).toEqual([
    ["m8", "m9"],
    ["m6", "m7", "m8", "m9"],
  ]);
});

test("callbacks that subscribe at once are served by as few commands as can be", async () => {
  const world = new World();
  const socket = await world.online();
  const [one, two, three] = [new Heard(), new Heard(), new Heard()];
  const first = world.client.subscribeChannel("chat:1", one.callback, { historyLimit: 3 });
  const second = world.client.subscribeChannel("chat:1", two.callback, { historyLimit: 1 });
  const third = world.client.subscribeChannel("chat:1", three.callback, { historyLimit: 5 });
  socket.answer(messages(5, 7));
  expect(await first).toMatchObject({ history: ["m7", "m6", "m5"] });
  expect(await second).toMatchObject({ history: ["m7"] });
  expect(await outcome(third)).toBe("pending");
  socket.answer({ success: true, messages: entries(3, 7), epoch, truncated: true });
  expect(await third).toMatchObject({ history: ["m7", "m6", "m5", "m4", "m3"] });
  expect([one.all, two.all, three.all.length]).toEqual([["m5", "m6", "m7"], ["m7"], 5]);
  expect(socket.sent).toHaveLength(3);
});

test("a gap that is told while the history is read is told to the callback that joins as well", async () => {
  const { world, socket } = await subscribed(7);
  const late = new Heard();
  void world.client.subscribeChannel("chat:1", late.callback, { historyLimit: 1, onGap: late.onGap });
  push(socket, "chat:1", 8);
  socket.say({ command: "mesh/channel-gap", payload: { channel: "chat:1", reason: "expired", missed: 3 } });
  push(socket, "chat:1", 12);
  socket.answer({ success: true, messages: entries(7, 7), epoch, truncated: true });
  expect(late.all).toEqual(["m7", "m8", "gap expired 3", "m12"]);
});

test("a callback whose history takes too long begins later, and without a hole", async () => {
  const { world, socket } = await subscribed(7);
  const late = new Heard();
  const done = world.client.subscribeChannel("chat:1", late.callback, { historyLimit: 1 });
  for (let offset = 8; offset <= 1_100; offset += 1) push(socket, "chat:1", offset);
  socket.answer({ success: true, messages: entries(7, 7), epoch, truncated: true });
  expect(await done).toMatchObject({ success: true, history: [] });
  expect([late.all.length, late.all[0]]).toEqual([1_000, "m101"]);
});

test("a page that brings nothing new is the last, or there would be no end", async () => {
  const { socket, heard } = await subscribed(7);
  push(socket, "chat:1", 9);
  socket.answer({ ...messages(6, 7), recovered: true, more: true });
  push(socket, "chat:1", 8);
  expect(heard.all).toEqual(["m8"]);
  expect(socket.sent).toHaveLength(socket.read);
});

test("a callback that joins with history is refused alone", async () => {
  const { world, socket, heard } = await subscribed(7);
  const late = new Heard();
  const done = world.client.subscribeChannel("chat:1", late.callback, { historyLimit: 2 });
  await refuse(socket, "unavailable", true);
  expect(await done).toMatchObject({ success: false, error: { code: "unavailable" } });
  push(socket, "chat:1", 8);
  expect([heard.all, late.all]).toEqual([["m8"], []]);
});

test("a hole in the offsets is mended by exactly one subscription after the last position", async () => {
  const { socket, heard } = await subscribed(7);
  push(socket, "chat:1", 8);
  push(socket, "chat:1", 10);
  push(socket, "chat:1", 11);
  expect(heard.all).toEqual(["m8"]);
  const { payload } = socket.answer({ ...messages(9, 11), recovered: true });
  expect(payload).toEqual({ channel: "chat:1", historyLimit: 1_000, after: at(8) });
  push(socket, "chat:1", 12);
  expect(heard.all).toEqual(["m8", "m9", "m10", "m11", "m12"]);
  expect(heard.metas.map(({ replayed }) => replayed)).toEqual([false, true, true, true, false]);
  expect(socket.sent).toHaveLength(socket.read);
});

test("p20b_what_was_handed_out_before_is_dropped", async () => {
  const { socket, heard } = await subscribed(7);
  for (const offset of [7, 8, 8, 3, 9, 8]) push(socket, "chat:1", offset);
  expect(heard.all).toEqual(["m8", "m9"]);
  expect(socket.sent).toHaveLength(socket.read);
});

test("another epoch is asked about, and its messages come after the gap", async () => {
  const { socket, heard } = await subscribed(7);
  push(socket, "chat:1", 2, at(2, otherEpoch));
  const { payload } = socket.answer({ ...messages(1, 2, otherEpoch), gap: { reason: "epoch_changed" } });
  expect(payload).toMatchObject({ after: at(7) });
  push(socket, "chat:1", 3, at(3, otherEpoch));
  expect(heard.all).toEqual(["gap epoch_changed", "m1", "m2", "m3"]);
});

test("a gap that the server tells of is told once, and what follows may have any offset", async () => {
  const { socket, heard } = await subscribed(7);
  const gap = (payload: object): void =>
    socket.say({ command: "mesh/channel-gap", payload: { channel: "chat:1", ...payload } });
  gap({ reason: "expired", missed: 12 });
  push(socket, "chat:1", 20);
  gap({ reason: "epoch_changed" });
  push(socket, "chat:1", 1, at(1, otherEpoch));
  push(socket, "chat:1", 2, at(2, otherEpoch));
  expect(heard.all).toEqual(["gap expired 12", "m20", "gap epoch_changed", "m1", "m2"]);
  expect(socket.sent).toHaveLength(socket.read);
});

test("who asks for the latest is content with any order that goes on", async () => {
  const { socket, heard } = await subscribed(7, { latest: true });
  expect(socket.sent[1]).toMatchObject({ payload: { channel: "chat:1", latest: true } });
  for (const offset of [9, 8, 20, 20, 21]) push(socket, "chat:1", offset);
  push(socket, "chat:1", 1, at(1, otherEpoch));
  expect(heard.all).toEqual(["m9", "m20", "m21", "m1"]);
  expect(socket.sent).toHaveLength(socket.read);
});

test("of callbacks that differ in the rate, the one that asks for the most decides", async () => {
  const { world, socket, heard } = await subscribed(7, { maxRate: 2 });
  const fast = new Heard();
  const done = world.client.subscribeChannel("chat:1", fast.callback, { maxRate: 10 });
  expect(socket.answer(messages(8, 8)).payload).toEqual({
    channel: "chat:1",
    maxRate: 10,
    historyLimit: 1,
  });
  await done;
  const every = new Heard();
  void world.client.subscribeChannel("chat:1", every.callback);
  expect(socket.answer({ ...messages(9, 9), recovered: true }).payload).toEqual({
    channel: "chat:1",
    historyLimit: 1_000,
    after: at(8),
  });
  push(socket, "chat:1", 10);
  expect([heard.all, fast.all, every.all]).toEqual([["m8", "m9", "m10"], ["m9", "m10"], ["m10"]]);
});

test("a callback that joins with a wish that is refused does not cost the others theirs", async () => {
  const { world, socket, heard } = await subscribed(7, { maxRate: 2 });
  const errors: unknown[] = [];
  world.client.on("error", ({ code }) => errors.push(code));
  const greedy = new Heard();
  const done = world.client.subscribeChannel("chat:1", greedy.callback, { maxRate: 5_000 });
  await refuse(socket, "bad_payload");
  expect(await done).toMatchObject({ success: false, error: { code: "bad_payload" } });
  expect(socket.answer(messages(8, 8)).payload).toMatchObject({ maxRate: 2 });
  push(socket, "chat:1", 9);
  expect([heard.all, greedy.all, errors]).toEqual([["m8", "m9"], [], []]);
});

test("p40a_the_echo_of_ones_own_message_is_marked_and_may_be_left_out", async () => {
  const { world, socket, heard } = await subscribed(7);
  const others = new Heard();
  await world.client.subscribeChannel("chat:1", others.callback, { echo: false });
  const published = world.client.publishChannel("chat:1", "hi");
  const { payload } = socket.answer({ success: true, ...at(8) });
  const { txn, ...rest } = payload as { txn: string };
  expect(rest).toEqual({ channel: "chat:1", message: "hi" });
  expect(txn.length).toBeLessThanOrEqual(64);
  expect(await published).toEqual({ success: true, ...at(8) });
  push(socket, "chat:1", 8, { txn });
  push(socket, "chat:1", 9, { txn: "theirs" });
  expect(heard.metas).toMatchObject([
    { own: true, txn },
    { own: false, txn: "theirs" },
  ]);
  expect(others.all).toEqual(["m9"]);
});

test("a publication that fails is a result", async () => {
  const world = new World();
  const socket = await world.online();
  const published = world.client.publishChannel("locked:1", "hi");
  await refuse(socket, "forbidden");
  expect(await published).toMatchObject({ success: false, error: { code: "forbidden" } });
});

test("each write has its own mark, which no other client takes for its own", () => {
  const [ours, theirs] = [new Txns(() => 0.25), new Txns(() => 0.5)];
  const mark = ours.next();
  expect(ours.next()).not.toBe(mark);
  expect([ours.owns(mark), theirs.owns(mark), ours.owns(undefined), ours.owns(7)]).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test("p39a_history_is_read_in_pages", async () => {
  const world = new World();
  const socket = await world.online();
  const read = world.client.getChannelHistory("chat:1", { limit: 2, before: 8 });
  const answer = { success: true, messages: entries(6, 7), truncated: true, epoch, oldest: 1, newest: 7 };
  expect(socket.answer(answer)).toMatchObject({
    command: "mesh/get-channel-history",
    payload: { channel: "chat:1", limit: 2, before: 8 },
  });
  expect(await read).toEqual(answer);
  const after = world.client.getChannelHistory("chat:1", { after: at(7) });
  const gap = { reason: "epoch_changed" };
  expect(socket.answer({ success: true, messages: [], truncated: false, gap }).payload).toEqual({
    channel: "chat:1",
    after: at(7),
  });
  expect(await after).toMatchObject({ gap, messages: [] });
  const refused = world.client.getChannelHistory("secret:1");
  await refuse(socket, "forbidden");
  expect(await refused).toMatchObject({ success: false, messages: [], error: { code: "forbidden" } });
});

test("a callback that throws harms nobody", async () => {
  const { world, socket, heard } = await subscribed(7);
  const first = new Heard();
  await world.client.subscribeChannel("chat:1", () => {
    throw new Error("mine");
  });
  await world.client.subscribeChannel("chat:1", first.callback, {
    onGap: () => {
      throw new Error("mine, too");
    },
  });
  push(socket, "chat:1", 8);
  socket.say({ command: "mesh/channel-gap", payload: { channel: "chat:1", reason: "limit" } });
  push(socket, "chat:1", 12);
  expect([heard.all, first.all]).toEqual([
    ["m8", "gap limit", "m12"],
    ["m8", "m12"],
  ]);
  expect(world.reported.map(String)).toEqual(["Error: mine", "Error: mine, too", "Error: mine"]);
});

test("a callback that ends another is the last to be called", async () => {
  const world = new World();
  const socket = await world.online();
  const second = new Heard();
  const first = new Heard();
  void world.client.subscribeChannel("chat:1", (message) => {
    first.all.push(message);
    void world.client.unsubscribeChannel("chat:1");
  });
  void world.client.subscribeChannel("chat:1", second.callback);
  socket.answer(messages(8, 7));
  push(socket, "chat:1", 8);
  expect([first.all, second.all]).toEqual([["m8"], []]);
  expect(socket.answer(true)).toMatchObject({ command: "mesh/unsubscribe-channel" });
});

test("an answer and pushes that are not as agreed change nothing", async () => {
  const { socket, heard } = await subscribed(7);
  for (const payload of [null, 1, "x", [], {}, { channel: 1 }, { channel: "__proto__", message: 1 }]) {
    socket.say({ command: "mesh/subscription-message", payload });
    socket.say({ command: "mesh/channel-gap", payload });
    socket.say({ command: "mesh/record-update", payload });
  }
  push(socket, "chat:1", 8);
  await settle();
  expect(heard.all).toEqual(["m8"]);
});
