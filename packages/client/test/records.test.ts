import { expect, test } from "vitest";
import type { RecordOptions } from "../src/index.js";
import { applyPatch, type PatchOperation } from "../src/patch.js";
import { at, epoch, otherEpoch, record, refuse, Updates, update } from "./streams.js";
import { outcome, settle, World } from "./world.js";

const never = { success: true, record: null, version: 0 };
const set = (path: string, value: unknown): PatchOperation[] => [{ op: "replace", path, value }];

/** A client that has subscribed to `doc:1`, which is `{n: 7}` at version 7. */
async function subscribed(options: RecordOptions = {}) {
  const world = new World();
  const socket = await world.online();
  const updates = new Updates();
  const done = world.client.subscribeRecord("doc:1", updates.callback, options);
  socket.answer(record({ n: 7 }, 7));
  await done;
  updates.all.length = 0;
  return { world, socket, updates };
}

test("the callback is given the value at once, then each new one", async () => {
  const world = new World();
  const socket = await world.online();
  const updates = new Updates();
  const done = world.client.subscribeRecord("doc:1", updates.callback);
  expect(socket.answer(record({ n: 7 }, 7))).toMatchObject({
    command: "mesh/subscribe-record",
    payload: { recordId: "doc:1" },
  });
  expect(await done).toEqual({ success: true, record: { n: 7 }, version: 7 });
  update(socket, "doc:1", 8, { full: { n: 8 }, txn: "theirs" });
  update(socket, "doc:1", 11, { full: 11 });
  expect(updates.all).toEqual([
    { recordId: "doc:1", full: { n: 7 }, version: 7 },
    { recordId: "doc:1", full: { n: 8 }, version: 8, txn: "theirs", own: false },
    { recordId: "doc:1", full: 11, version: 11 },
  ]);
});

test("a record that was never written is null at version 0, and its first patch applies to that", async () => {
  const world = new World();
  const socket = await world.online();
  const updates = new Updates();
  const done = world.client.subscribeRecord("doc:1", updates.callback, { mode: "patch", track: applyPatch });
  expect(socket.answer(never).payload).toEqual({ recordId: "doc:1", mode: "patch" });
  expect(await done).toEqual({ success: true, record: null, version: 0 });
  update(socket, "doc:1", 1, { patch: set("", { n: 1 }), from: 0 });
  expect(updates.all).toMatchObject([
    { full: null, version: 0 },
    { version: 1, value: { n: 1 } },
  ]);
});

test("in patch mode patches are handed on as they came, and no value is kept", async () => {
  const { socket, updates } = await subscribed({ mode: "patch" });
  update(socket, "doc:1", 8, { patch: set("/n", 8), from: 7 });
  update(socket, "doc:1", 9, { full: { n: 9 } });
  expect(updates.all).toEqual([
    { recordId: "doc:1", patch: set("/n", 8), version: 8 },
    { recordId: "doc:1", full: { n: 9 }, version: 9 },
  ]);
});

test("who tracks a record has its value at every version", async () => {
  const { socket, updates } = await subscribed({ mode: "patch", track: applyPatch });
  update(socket, "doc:1", 8, { patch: set("/n", 8), from: 7 });
  update(socket, "doc:1", 9, { full: { n: 9, x: [1] } });
  update(socket, "doc:1", 10, { patch: set("/x/0", 2), from: 9 });
  update(socket, "doc:1", 11, { full: null, deleted: true });
  update(socket, "doc:1", 12, { full: "again" });
  expect(updates.all.map(({ value }) => value)).toEqual([
    { n: 8 },
    { n: 9, x: [1] },
    { n: 9, x: [2] },
    null,
    "again",
  ]);
  expect(updates.all[3]).toMatchObject({ full: null, deleted: true, version: 11 });
});

test("p18c_a_patch_that_does_not_fit_is_mended_by_one_subscription_after_the_last_version", async () => {
  const { socket, updates } = await subscribed({ mode: "patch", track: applyPatch });
  update(socket, "doc:1", 9, { patch: set("/n", 9), from: 8 });
  update(socket, "doc:1", 10, { patch: set("/n", 10), from: 9 });
  expect(updates.all).toEqual([]);
  expect(socket.answer(record({ n: 10 }, 10)).payload).toEqual({
    recordId: "doc:1",
    mode: "patch",
    after: at(7),
  });
  update(socket, "doc:1", 11, { patch: set("/n", 11), from: 10 });
  expect(updates.all).toEqual([
    { recordId: "doc:1", full: { n: 10 }, version: 10, value: { n: 10 } },
    { recordId: "doc:1", patch: set("/n", 11), version: 11, value: { n: 11 } },
  ]);
  expect(socket.sent).toHaveLength(socket.read);
});

test("a patch that cannot be applied is mended in the same way", async () => {
  const { socket, updates } = await subscribed({ mode: "patch", track: applyPatch });
  update(socket, "doc:1", 8, { patch: set("/missing/x", 1), from: 7 });
  socket.answer(record({ n: 8 }, 8));
  expect(updates.all).toMatchObject([{ full: { n: 8 }, value: { n: 8 }, version: 8 }]);
});

test("a full value is taken whatever version came before, and an older one is not", async () => {
  const { socket, updates } = await subscribed({ mode: "patch" });
  update(socket, "doc:1", 20, { full: 20 });
  update(socket, "doc:1", 19, { full: 19 });
  update(socket, "doc:1", 20, { full: 20 });
  update(socket, "doc:1", 1, { full: 1 }, otherEpoch);
  update(socket, "doc:1", 2, { patch: set("", 2), from: 1 }, otherEpoch);
  expect(updates.all.map(({ version }) => version)).toEqual([20, 1, 2]);
  expect(socket.sent).toHaveLength(socket.read);
});

test("a patch of another epoch is asked about", async () => {
  const { socket, updates } = await subscribed({ mode: "patch" });
  update(socket, "doc:1", 8, { patch: set("/n", 8), from: 7 }, otherEpoch);
  socket.answer(record({ n: 8 }, 8, otherEpoch));
  expect(updates.all).toEqual([{ recordId: "doc:1", full: { n: 8 }, version: 8 }]);
});

test("trap_d_what_comes_before_the_answer_is_neither_lost_nor_doubled", async () => {
  const world = new World();
  const socket = await world.online();
  const updates = new Updates();
  void world.client.subscribeRecord("doc:1", updates.callback, { mode: "patch", track: applyPatch });
  for (const version of [6, 7, 8, 9]) {
    update(socket, "doc:1", version, { patch: set("/n", version), from: version - 1 });
  }
  socket.answer(record({ n: 7 }, 7));
  expect(updates.all.map(({ version, value }) => [version, value])).toEqual([
    [7, { n: 7 }],
    [8, { n: 8 }],
    [9, { n: 9 }],
  ]);
});

test("trap_g_after_a_reconnect_a_record_is_subscribed_after_its_version", async () => {
  const { world, socket, updates } = await subscribed({ mode: "patch", track: applyPatch });
  socket.close(1006);
  const second = await world.again();
  expect(second.answer({ success: true, unchanged: true, version: 7, ...at(7) }).payload).toEqual({
    recordId: "doc:1",
    mode: "patch",
    after: at(7),
  });
  expect(updates.all).toEqual([]);
  update(second, "doc:1", 8, { patch: set("/n", 8), from: 7 });
  second.close(1006);
  const third = await world.again();
  expect(third.answer(record({ n: 12 }, 12)).payload).toMatchObject({ after: at(8) });
  expect(updates.all).toMatchObject([
    { version: 8, value: { n: 8 } },
    { version: 12, full: { n: 12 }, value: { n: 12 } },
  ]);
});

test("a record that was lost, deleted or written anew while away is told as it is", async () => {
  const { world, socket, updates } = await subscribed();
  const answers = [
    record({ n: 1 }, 1, otherEpoch),
    { ...record(null, 2, otherEpoch), deleted: true },
    { ...record({ n: 2 }, 2, otherEpoch), tag: "another0" },
    never,
    never,
  ];
  let { sockets } = world;
  socket.close(1006);
  for (const answer of answers) {
    const next = await world.again();
    next.answer(answer);
    next.close(1006);
    sockets = world.sockets;
  }
  expect(sockets).toHaveLength(6);
  expect(updates.all).toEqual([
    { recordId: "doc:1", full: { n: 1 }, version: 1 },
    { recordId: "doc:1", full: null, version: 2, deleted: true },
    { recordId: "doc:1", full: { n: 2 }, version: 2 },
    { recordId: "doc:1", full: null, version: 0 },
  ]);
});

test("a callback that joins is given the value, and the others only what is new to them", async () => {
  const { world, socket, updates } = await subscribed({ mode: "patch" });
  const late = new Updates();
  const done = world.client.subscribeRecord("doc:1", late.callback, { mode: "patch" });
  update(socket, "doc:1", 8, { patch: set("/n", 8), from: 7 });
  expect(socket.answer(record({ n: 7 }, 7)).payload).toEqual({ recordId: "doc:1", mode: "patch" });
  expect(await done).toEqual({ success: true, record: { n: 7 }, version: 7 });
  const second = world.client.subscribeRecord("doc:1", late.callback, { mode: "patch" });
  socket.answer(record({ n: 9 }, 9));
  expect(await second).toMatchObject({ version: 9 });
  const patch = { recordId: "doc:1", patch: set("/n", 8), version: 8 };
  const full = { recordId: "doc:1", full: { n: 9 }, version: 9 };
  expect(updates.all).toEqual([patch, full]);
  expect(late.all).toEqual([{ recordId: "doc:1", full: { n: 7 }, version: 7 }, patch, full]);
});

test("an answer that is behind takes nothing back from those who know better", async () => {
  const { world, socket, updates } = await subscribed();
  const late = new Updates();
  void world.client.subscribeRecord("doc:1", late.callback);
  socket.answer(record({ n: 5 }, 5));
  for (const version of [6, 7, 8]) update(socket, "doc:1", version, { full: version });
  expect(updates.all.map(({ version }) => version)).toEqual([8]);
  expect(late.all.map(({ version }) => version)).toEqual([5, 8]);
});

test("trap_w_a_callback_that_joins_while_an_answer_is_on_its_way_is_served_as_well", async () => {
  const { world, socket } = await subscribed();
  socket.close(1006);
  const next = await world.again();
  const late = new Updates();
  const done = world.client.subscribeRecord("doc:1", late.callback);
  next.answer({ success: true, unchanged: true, version: 7, ...at(7) });
  expect(await outcome(done)).toBe("pending");
  expect(next.answer(record({ n: 7 }, 7)).payload).toEqual({ recordId: "doc:1" });
  expect(await done).toMatchObject({ success: true, version: 7 });
  expect(next.sent).toHaveLength(next.read);
});

test("who wants values gets them, also if another wants patches", async () => {
  const { world, socket, updates } = await subscribed({ mode: "patch" });
  const late = new Updates();
  void world.client.subscribeRecord("doc:1", late.callback);
  expect(socket.answer(record({ n: 7 }, 7)).payload).toEqual({ recordId: "doc:1" });
  update(socket, "doc:1", 9, { full: { n: 9 } });
  expect([updates.all, late.all.length]).toMatchObject([[{ full: { n: 9 } }], 2]);
  void world.client.unsubscribeRecord("doc:1", late.callback);
  expect(socket.answer({ success: true, unchanged: true, version: 9, ...at(9) }).payload).toEqual({
    recordId: "doc:1",
    mode: "patch",
    after: at(9),
  });
});

test("p40a_the_echo_of_ones_own_write_is_marked_and_may_be_left_out", async () => {
  const { world, socket, updates } = await subscribed({ mode: "patch", track: applyPatch });
  const others = new Updates();
  void world.client.subscribeRecord("doc:1", others.callback, {
    mode: "patch",
    track: applyPatch,
    echo: false,
  });
  socket.answer(record({ n: 7 }, 7));
  const written = world.client.writeRecord("doc:1", { n: 8 }, { strategy: "merge", ifVersion: 7 });
  const { command, payload } = socket.answer({ success: true, version: 8, ...at(8) });
  const { txn, ...rest } = payload as { txn: string };
  expect([command, rest]).toEqual([
    "mesh/publish-record-update",
    { recordId: "doc:1", newValue: { n: 8 }, options: { strategy: "merge" }, ifVersion: 7 },
  ]);
  expect(await written).toMatchObject({ version: 8 });
  update(socket, "doc:1", 8, { patch: set("/n", 8), from: 7, txn });
  update(socket, "doc:1", 9, { patch: [{ op: "add", path: "/x", value: 1 }], from: 8, txn: "theirs" });
  expect(updates.all).toMatchObject([{ own: true, txn }, { own: false }]);
  expect(others.all.slice(1)).toMatchObject([{ version: 9, value: { n: 8, x: 1 } }]);
});

test("each way to write a record is one command", async () => {
  const world = new World();
  const socket = await world.online();
  const sent = (answer: object): object => {
    const { command, payload } = socket.answer(answer);
    const { txn, ...rest } = payload as { txn: unknown };
    expect(txn).toEqual(expect.any(String));
    return { command, ...rest };
  };
  const { client } = world;
  const patched = client.patchRecord("doc:1", set("/n", 1), { ifVersion: 3 });
  expect(sent({ success: true, version: 4 })).toEqual({
    command: "mesh/patch-record",
    recordId: "doc:1",
    patch: set("/n", 1),
    ifVersion: 3,
  });
  expect(await patched).toMatchObject({ version: 4 });
  const incremented = client.incrementRecord("doc:1", 2, "/n");
  expect(sent({ success: true, version: 5, value: 3 })).toEqual({
    command: "mesh/increment-record",
    recordId: "doc:1",
    by: 2,
    path: "/n",
  });
  expect(await incremented).toMatchObject({ version: 5, value: 3 });
  const deleted = client.deleteRecord("doc:1");
  expect(sent({ success: true, version: 6 })).toEqual({ command: "mesh/delete-record", recordId: "doc:1" });
  expect(await deleted).toMatchObject({ version: 6 });
  const published = client.publishRecordUpdate("doc:1", null);
  expect(sent({ success: true, version: 7 })).toEqual({
    command: "mesh/publish-record-update",
    recordId: "doc:1",
    newValue: null,
  });
  expect(await published).toBe(true);
  const read = client.getRecord("doc:1");
  socket.answer({ ...record({ n: 1 }, 7), epoch });
  expect(await read).toMatchObject({ record: { n: 1 }, version: 7 });
});

test("p18b_a_conflict_tells_the_version_and_the_value", async () => {
  const world = new World();
  const socket = await world.online();
  const conflict = (): void => {
    const { id, command } = socket.next();
    const details = { version: 8, record: { n: 8 } };
    socket.say({ id, command, error: { code: "conflict", message: "no", retryable: true, details } });
  };
  const written = world.client.writeRecord("doc:1", 1, { ifVersion: 7 });
  conflict();
  expect(await outcome(written)).toMatchObject({
    code: "conflict",
    details: { version: 8, record: { n: 8 } },
  });
  const published = world.client.publishRecordUpdate("doc:1", 1, { ifVersion: 7 });
  conflict();
  expect(await published).toBe(false);
});

test("trap_k_a_denied_record_leaves_no_listener", async () => {
  const world = new World();
  const socket = await world.online();
  const updates = new Updates();
  const denied = world.client.subscribeRecord("secret:1", updates.callback);
  await refuse(socket, "forbidden");
  expect(await denied).toMatchObject({
    success: false,
    record: null,
    version: 0,
    error: { code: "forbidden" },
  });
  update(socket, "secret:1", 1, { full: 1 });
  expect(updates.all).toEqual([]);
  expect(await world.client.unsubscribeRecord("secret:1")).toBe(false);
});

test("a record whose reader is no longer let in is given up, and ended at the server", async () => {
  const { world, socket, updates } = await subscribed({ mode: "patch" });
  const errors: unknown[] = [];
  world.client.on("error", ({ code, details }) => errors.push([code, details]));
  update(socket, "doc:1", 9, { patch: set("/n", 9), from: 8 });
  await refuse(socket, "forbidden");
  expect(errors).toEqual([["forbidden", { recordId: "doc:1" }]]);
  expect(socket.answer(true)).toMatchObject({ command: "mesh/unsubscribe-record" });
  update(socket, "doc:1", 10, { full: 10 });
  expect(updates.all).toEqual([]);
});

test("a callback that joins is refused alone if the server is busy", async () => {
  const { world, socket, updates } = await subscribed();
  const late = new Updates();
  const done = world.client.subscribeRecord("doc:1", late.callback);
  await refuse(socket, "rate_limited", true);
  expect(await done).toMatchObject({ success: false, error: { code: "rate_limited" } });
  update(socket, "doc:1", 8, { full: 8 });
  await settle();
  expect([updates.all.length, late.all.length]).toEqual([1, 0]);
});

test("rates are asked of the server", async () => {
  const { socket, updates } = await subscribed({ maxRate: 0.5 });
  expect(socket.sent[1]).toMatchObject({ payload: { recordId: "doc:1", maxRate: 0.5 } });
  update(socket, "doc:1", 30, { full: 30 });
  expect(updates.all).toMatchObject([{ version: 30 }]);
});

test("a channel and a record of one name are two", async () => {
  const { world, socket, updates } = await subscribed();
  const heard: unknown[] = [];
  void world.client.subscribeChannel("doc:1", (message) => heard.push(message));
  socket.answer({ success: true, messages: [] });
  socket.say({ command: "mesh/subscription-message", payload: { channel: "doc:1", message: "hi" } });
  update(socket, "doc:1", 8, { full: 8 });
  expect([heard, updates.all.length]).toEqual([["hi"], 1]);
  void world.client.unsubscribeChannel("doc:1");
  expect(socket.answer(true)).toMatchObject({ payload: { channel: "doc:1" } });
});

test("what one transaction wrote is handed on record by record", async () => {
  const { world, socket, updates } = await subscribed();
  const others = new Updates();
  const done = world.client.subscribeRecord("doc:2", others.callback);
  socket.answer(record("a", 3));
  await done;
  const push = (recordId: string, version: number, full: unknown) => ({
    recordId,
    full,
    version,
    tag: at(version).tag,
    epoch,
    offset: version,
  });
  socket.say({
    command: "mesh/record-updates",
    payload: { updates: [push("doc:2", 4, "b"), push("doc:1", 8, { n: 8 }), 7, null] },
  });
  expect(updates.all).toEqual([{ recordId: "doc:1", full: { n: 8 }, version: 8 }]);
  expect(others.all.at(-1)).toEqual({ recordId: "doc:2", full: "b", version: 4 });
  socket.say({ command: "mesh/record-updates", payload: { updates: 7 } });
  expect(updates.all).toHaveLength(1);
});
