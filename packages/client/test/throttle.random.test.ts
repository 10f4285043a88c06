import { expect, test } from "vitest";
import { Chance } from "./chance.js";
import { type FakeSocket, settle, World } from "./world.js";

// Writes at many rates over a connection that breaks and is slow, against what a rate promises.

const runs = Number(process.env.MESH_STREAM_RUNS ?? 40);
const rates = [0.7, 9, 30, 1_000];

interface Sent {
  readonly at: number;
  readonly n: number;
}

/** One life of a client. Each subject is a command of one rate. */
async function run(seed: number): Promise<void> {
  const chance = new Chance(seed);
  const world = new World({ pingTimeout: 1_000_000 });
  const sent: Sent[][] = rates.map(() => []);
  const written: number[] = rates.map(() => 0);
  /** The last that nobody took back. */
  const last: number[] = rates.map(() => 0);
  const calls: Promise<unknown>[] = [];
  let socket!: FakeSocket;

  const note = ({ command, payload }: { command: string; payload?: unknown }): void => {
    sent[Number(command)]?.push({ at: world.clock.now(), n: payload as number });
  };
  const watch = (next: FakeSocket): void => {
    socket = next;
    // What it was given since it is online.
    for (const frame of next.sent.slice(next.read)) note(frame as { command: string });
    const send = next.send.bind(next);
    next.send = (text) => {
      note(JSON.parse(text));
      send(text);
    };
  };
  const answer = (): void => {
    while (socket.state === "open" && socket.sent.length > socket.read) {
      const { id, command, payload } = socket.next();
      socket.say({ id, command, payload });
    }
  };
  const write = (): void => {
    const subject = chance.below(rates.length);
    const maxRate = rates[subject] as number;
    written[subject] = (written[subject] as number) + 1;
    const n = written[subject];
    const isTakenBack = chance.below(10) === 0;
    const stop = new AbortController();
    const options = { maxRate, timeout: Number.POSITIVE_INFINITY, signal: stop.signal };
    const call = world.client.command<number>(String(subject), n, options);
    // Whoever gave way is told of what was sent instead of it, which is never older.
    calls.push(call.then((answered) => expect(answered).toBeGreaterThanOrEqual(n)).catch(rethrowUnexpected));
    if (isTakenBack) stop.abort();
    else last[subject] = n;
  };

  watch(await world.online());
  for (let step = 0; step < 300; step += 1) {
    for (let i = chance.below(4); i > 0; i -= 1) write();
    if (chance.below(3) === 0) answer();
    if (chance.below(60) === 0) {
      socket.close(1006);
      for (let i = chance.below(20); i > 0; i -= 1) write();
      watch(await world.again());
    }
    await world.clock.advance(chance.below(200));
  }
  for (let i = 0; i < 4; i += 1) {
    answer();
    await world.clock.advance(2_000);
  }
  await settle();
  answer();
  await Promise.all(calls);

  for (const [subject, maxRate] of rates.entries()) {
    const frames = sent[subject] as Sent[];
    for (const [i, { at, n }] of frames.entries()) {
      const before = frames[i - 1];
      if (!before) continue;
      expect(n, `seed ${seed}: in order`).toBeGreaterThan(before.n);
      expect(at - before.at, `seed ${seed}: no faster than ${maxRate}`).toBeGreaterThanOrEqual(
        1_000 / maxRate,
      );
    }
    const newest = last[subject] as number;
    // It is sent, unless a newer one took its place and was taken back.
    const isLast = newest === written[subject];
    if (isLast && newest > 0) expect(frames.at(-1)?.n, `seed ${seed}: the last one`).toBe(newest);
  }
}

function rethrowUnexpected(error: unknown): void {
  const { code } = error as { code?: string };
  if (code !== "disconnected" && code !== "cancelled") throw error;
}

test("whatever happens a rate is kept, nothing overtakes, each call ends and the last one is sent", {
  timeout: 10_000 + 250 * runs,
}, async () => {
  for (let seed = 1; seed <= runs; seed += 1) await run(seed);
});
