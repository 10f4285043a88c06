import { expect, test } from "vitest";
import { CodeError } from "../src/index.js";
import { at, Heard, messages, push, pushPlain, record, refuse, Updates, update } from "./streams.js";
import { settle, World } from "./world.js";

const plain = { success: true, messages: [] };

/** A client that hears `chat:1` and `user:1`, whose last entries are both the seventh. */
async function listening() {
  const world = new World();
  const socket = await world.online();
  const errors: CodeError[] = [];
  world.client.on("error", (error) => errors.push(error));
  const heard = new Heard();
  void world.client.subscribeChannel("chat:1", heard.callback, { onGap: heard.onGap });
  socket.answer(messages(8, 7));
  const updates = new Updates();
  void world.client.subscribeRecord("user:1", updates.callback);
  socket.answer(record("r7", 7));
  await settle();
  const end = (about: object): void => {
    const payload = { ...about, code: "forbidden", message: "no longer" };
    socket.say({ command: "mesh/subscription-ended", payload });
  };
  return { world, socket, errors, heard, updates, end };
}

test("a channel that the server ends is given up, and that is told once", async () => {
  const { world, socket, errors, heard, end } = await listening();
  void world.client.subscribeChannel("chat:1", () => {});
  await settle();
  end({ channel: "chat:1" });
  end({ channel: "chat:1" });
  expect(errors).toMatchObject([
    { code: "forbidden", message: "no longer", retryable: false, details: { channel: "chat:1" } },
  ]);
  expect(errors[0]).toBeInstanceOf(CodeError);
  push(socket, "chat:1", 8);
  expect(heard.all).toEqual([]);
  expect(await world.client.unsubscribeChannel("chat:1")).toBe(false);
  socket.close(1006);
  const next = await world.again();
  expect(next.sent.slice(1)).toMatchObject([{ command: "mesh/subscribe-record" }]);
});

test("a record that the server ends is given up, and that is told", async () => {
  const { world, socket, errors, updates, end } = await listening();
  end({ recordId: "user:1" });
  expect(errors).toMatchObject([{ code: "forbidden", details: { recordId: "user:1" } }]);
  update(socket, "user:1", 8, { full: "r8" });
  expect(updates.all).toHaveLength(1);
  socket.close(1006);
  expect((await world.again()).sent.slice(1)).toMatchObject([{ command: "mesh/subscribe-channel" }]);
});

test("a channel and a record of one name end apart", async () => {
  const { world, socket, errors, heard, end } = await listening();
  void world.client.subscribeRecord("chat:1", () => {});
  socket.answer(record("r7", 7));
  end({ recordId: "chat:1" });
  expect(errors).toMatchObject([{ details: { recordId: "chat:1" } }]);
  push(socket, "chat:1", 8);
  expect(heard.all).toEqual(["m8"]);
});

test("who subscribes again after the end is answered for himself", async () => {
  const { world, socket, errors, heard, end } = await listening();
  end({ channel: "chat:1" });
  const again = world.client.subscribeChannel("chat:1", heard.callback);
  expect(socket.answer(messages(10, 9)).payload).toEqual({ channel: "chat:1" });
  expect(await again).toMatchObject({ success: true });
  push(socket, "chat:1", 10);
  expect(heard.all).toEqual(["m10"]);
  expect(errors).toHaveLength(1);
});

test("an end that crosses a subscription leaves it to the answer, and nothing is lost", async () => {
  const { world, socket, errors, heard, end } = await listening();
  const wished = world.client.subscribeChannel("chat:1", heard.callback, {
    onGap: heard.onGap,
    latest: false,
    maxRate: 5,
  });
  end({ channel: "chat:1" });
  socket.answer(messages(9, 9));
  expect(await wished).toMatchObject({ success: true });
  push(socket, "chat:1", 10);
  expect(heard.all).toEqual(["m9", "m10"]);
  expect(errors).toEqual([]);
});

test("an end that crosses a subscription which is refused too is told to each", async () => {
  const { world, socket, errors, updates, end } = await listening();
  const other = world.client.subscribeRecord("user:1", () => {});
  end({ recordId: "user:1" });
  await refuse(socket, "forbidden");
  expect(await other).toMatchObject({ success: false, error: { code: "forbidden" } });
  // Those who had it before are asked for once more, since the refusal may be about what the other one wished for.
  await refuse(socket, "forbidden");
  expect(errors).toMatchObject([{ code: "forbidden", details: { recordId: "user:1" } }]);
  update(socket, "user:1", 8, { full: "r8" });
  expect(updates.all).toHaveLength(1);
  expect(socket.sent).toHaveLength(socket.read);
});

test("an end that crosses an unsubscription changes nothing", async () => {
  const { world, socket, errors, heard, end } = await listening();
  const left = world.client.unsubscribeChannel("chat:1");
  const again = world.client.subscribeChannel("chat:1", heard.callback);
  end({ channel: "chat:1" });
  expect(await left).toBe(true);
  expect(socket.answer(false).command).toBe("mesh/unsubscribe-channel");
  expect(socket.answer(messages(8, 7)).command).toBe("mesh/subscribe-channel");
  expect(await again).toMatchObject({ success: true });
  expect(errors).toEqual([]);
});

test("an end while history is read for one more callback has all of them subscribed again", async () => {
  const { world, socket, errors, heard, end } = await listening();
  const late = new Heard();
  const joined = world.client.subscribeChannel("chat:1", late.callback, { historyLimit: 2 });
  end({ channel: "chat:1" });
  expect(socket.answer(messages(6, 7)).command).toBe("mesh/get-channel-history");
  const asked = socket.answer({ ...messages(8, 9), recovered: true });
  expect(asked).toMatchObject({ command: "mesh/subscribe-channel", payload: { after: at(7) } });
  socket.answer(messages(8, 9));
  expect(await joined).toMatchObject({ success: true, history: ["m9", "m8"] });
  push(socket, "chat:1", 10);
  expect([heard.all, late.all]).toEqual([
    ["m8", "m9", "m10"],
    ["m8", "m9", "m10"],
  ]);
  expect(errors).toEqual([]);
});

test("a channel without history that ended and was let in again has a gap", async () => {
  const { world, socket, end } = await listening();
  const heard = new Heard();
  void world.client.subscribeChannel("chat:2", heard.callback, { onGap: heard.onGap });
  socket.answer(plain);
  await settle();
  void world.client.subscribeChannel("chat:2", heard.callback, { onGap: heard.onGap, maxRate: 5 });
  end({ channel: "chat:2" });
  socket.answer(plain);
  pushPlain(socket, "chat:2", "of after");
  expect(heard.all).toEqual(["gap no_history", "of after"]);
});

test("an end of what nobody listens to is ignored", async () => {
  const { socket, errors, end } = await listening();
  for (const about of [{}, { channel: "chat:9" }, { recordId: "user:9" }, { channel: 7 }]) end(about);
  socket.say({ command: "mesh/subscription-ended", payload: null });
  expect(errors).toEqual([]);
  expect(socket.sent).toHaveLength(socket.read);
});
