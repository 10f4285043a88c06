import { expect, test } from "vitest";
import { applyPatch, type PatchOperation } from "../src/patch.js";
import { Chance } from "./chance.js";
import { at, type Heard, Heard as Listener, Updates } from "./streams.js";
import { type FakeSocket, settle, World } from "./world.js";

// A server that loses, doubles and hurries pushes, drops connections and loses its store, against what a client may say of that.

const runs = Number(process.env.MESH_STREAM_RUNS ?? 100);
const timeout = 5_000 + 50 * runs;
const keptMax = 12;
const pageMax = 3;

interface Asked {
  readonly id: number;
  readonly command: string;
  readonly payload: {
    readonly after?: { readonly epoch: string; readonly offset: number; readonly tag: string };
    readonly historyLimit?: number;
    readonly limit?: number;
    readonly before?: number;
    readonly mode?: string;
  };
}

/** What both kinds of servers do alike. */
abstract class Server {
  readonly chance: Chance;
  readonly world = new World();
  socket!: FakeSocket;
  subscribed = false;
  life = 1;
  rests = false;

  constructor(seed: number) {
    this.chance = new Chance(seed);
  }

  abstract write(): void;
  abstract wipe(): void;
  protected abstract reply(asked: Asked): object;

  get epoch(): string {
    return String(this.life).padEnd(16, "0");
  }

  get asked(): boolean {
    return this.socket.sent.length > this.socket.read;
  }

  answer(): void {
    const asked = this.socket.next() as Asked;
    const kind = asked.command.split("/")[1] ?? "";
    const was = this.subscribed;
    const payload = kind.startsWith("unsubscribe") ? was : this.reply(asked);
    if (kind.startsWith("unsubscribe")) this.subscribed = false;
    this.socket.say({ id: asked.id, command: asked.command, payload });
  }

  /** Tells of something, once, twice or not at all. */
  tell(command: string, payload: object): void {
    if (!this.subscribed) return;
    const fate = this.rests ? 9 : this.chance.below(10);
    if (fate > 0) this.socket.say({ command, payload });
    if (fate === 1) this.socket.say({ command, payload });
  }

  async drop(): Promise<void> {
    this.socket.close(1006);
    this.subscribed = false;
    this.socket = await this.world.again();
  }

  async step(wish: () => void): Promise<void> {
    const what = this.chance.below(40);
    if (what === 0) await this.drop();
    else if (what === 1) this.wipe();
    else if (what < 4) wish();
    else if (what < 22) this.write();
    else if (this.asked) this.answer();
    await settle();
  }

  /** Tells all and answers all: what was lost before is noticed by what comes next. */
  async rest(): Promise<void> {
    this.rests = true;
    while (this.asked) this.answer();
    this.write();
    while (this.asked) this.answer();
    await settle();
  }
}

class ChannelServer extends Server {
  /** Messages of this life that are kept: the position, and the number of the message among all there ever were. */
  kept: { readonly offset: number; readonly n: number }[] = [];
  offset = 0;
  n = 0;

  write(): void {
    this.offset += 1;
    this.n += 1;
    this.kept = [...this.kept, { offset: this.offset, n: this.n }].slice(-keptMax);
    this.tell("mesh/subscription-message", { channel: "chat:1", message: this.n, ...this.at(this.offset) });
  }

  wipe(): void {
    this.life += 1;
    this.kept = [];
    this.offset = 0;
  }

  at(offset: number): object {
    return at(offset, this.epoch);
  }

  protected reply({ command, payload }: Asked): object {
    const list = (kept: typeof this.kept): object[] =>
      kept.map(({ offset, n }) => ({ message: n, ...this.at(offset) }));
    const newest = (limit: number): typeof this.kept => (limit > 0 ? this.kept.slice(-limit) : []);
    const head = this.offset > 0 ? this.at(this.offset) : {};
    if (command === "mesh/get-channel-history") {
      const { before = 0, limit = 50 } = payload;
      const messages = list(this.kept.filter(({ offset }) => offset < before).slice(-limit));
      return { success: true, messages, truncated: false, ...(this.offset > 0 ? { epoch: this.epoch } : {}) };
    }
    const { after, historyLimit = 0 } = payload;
    this.subscribed = true;
    if (!after) return { success: true, ...head, messages: list(newest(historyLimit)) };
    const oldest = this.offset - this.kept.length + 1;
    if (after.epoch !== this.epoch || after.offset + 1 < oldest) {
      const isOther = after.epoch !== this.epoch;
      const gap = isOther
        ? { reason: "epoch_changed" }
        : { reason: "expired", missed: oldest - after.offset - 1 };
      return { success: true, ...head, gap, messages: list(newest(historyLimit)) };
    }
    const missed = this.kept.filter(({ offset }) => offset > after.offset);
    const more = missed.length > pageMax;
    this.subscribed = !more;
    const messages = list(missed.slice(0, pageMax));
    return { success: true, recovered: true, ...head, messages, ...(more ? { more } : {}) };
  }
}

function check(heard: Heard, told: string): void {
  let last: number | undefined;
  for (const item of heard.all) {
    if (typeof item === "string") {
      last = undefined;
      continue;
    }
    if (last !== undefined && item !== last + 1) {
      throw new Error(`${told}: ${item} after ${last} in ${JSON.stringify(heard.all)}`);
    }
    last = item as number;
  }
  const numbers = heard.all.filter((item): item is number => typeof item === "number");
  for (const [i, n] of numbers.entries())
    if (i > 0) expect(n, told).toBeGreaterThan(numbers[i - 1] as number);
}

test(
  "p1b_whatever_happens_messages_come_once_and_in_order_or_a_gap_is_told_first",
  async () => {
    let messages = 0;
    let gaps = 0;
    for (let seed = 0; seed < runs; seed += 1) {
      const server = new ChannelServer(seed);
      server.socket = await server.world.online();
      const { client } = server.world;
      const all: { readonly heard: Heard; live: boolean }[] = [];
      const subscribe = (): void => {
        const heard = new Listener();
        const one = { heard, live: true };
        all.push(one);
        const historyLimit = server.chance.below(3) * 2;
        const options = { historyLimit, onGap: heard.onGap };
        void client.subscribeChannel("chat:1", heard.callback, options).then(({ success }) => {
          // Some wait for a connection for too long.
          one.live &&= success;
        });
      };
      for (let i = server.chance.below(10); i > 0; i -= 1) server.write();
      subscribe();
      for (let step = 0; step < 120; step += 1) {
        await server.step(() => {
          const live = all.filter((other) => other.live);
          const first = live[0];
          if (!first || (live.length < 3 && server.chance.below(2) === 0)) return subscribe();
          first.live = false;
          void client.unsubscribeChannel("chat:1", first.heard.callback);
        });
      }
      await server.rest();
      for (const { heard, live } of all) {
        check(heard, `seed ${seed}`);
        // The last push itself may have been lost.
        if (live) expect(server.n - (heard.all.at(-1) as number), `seed ${seed}`).toBeLessThan(4);
        messages += heard.metas.length;
        gaps += heard.all.length - heard.metas.length;
      }
    }
    expect([messages > runs * 20, gaps > runs / 10]).toEqual([true, true]);
  },
  timeout,
);

const text = (version: number, value: unknown): string => `${version} ${JSON.stringify(value)}`;

class RecordServer extends Server {
  version = 0;
  value: { readonly n: number; readonly list: readonly number[] } | null = null;
  /** What the record was at each version, in one life or another. */
  readonly was: Set<string> = new Set();
  mode = "full";

  write(): void {
    const from = this.version;
    const n = this.chance.below(1_000);
    const old = this.value;
    const list = [...(old?.list ?? []), n].slice(-5);
    this.value = this.chance.below(12) === 0 ? null : { n, list };
    this.version += 1;
    this.was.add(text(this.version, this.value));
    const patch: PatchOperation[] = [
      { op: "replace", path: "/n", value: n },
      { op: "replace", path: "/list", value: list },
    ];
    const isPatch = this.mode === "patch" && old && this.value && this.chance.below(5) > 0;
    const what = isPatch ? { patch, from } : { full: this.value };
    const { tag } = at(this.version, this.epoch);
    const position = { version: this.version, epoch: this.epoch, offset: this.version, tag };
    this.tell("mesh/record-update", { recordId: "doc:1", ...what, ...position });
  }

  wipe(): void {
    this.life += 1;
    this.version = 0;
    this.value = null;
  }

  protected reply({ payload: { after, mode = "full" } }: Asked): object {
    this.subscribed = true;
    this.mode = mode;
    const { version } = this;
    if (version === 0) return { success: true, record: null, version };
    const { epoch, tag } = at(version, this.epoch);
    if (after && after.tag === tag && after.epoch === epoch) {
      return { success: true, unchanged: true, version, epoch, tag };
    }
    return { success: true, record: this.value, version, epoch, tag };
  }
}

test(
  "p18c_whatever_happens_who_tracks_a_record_has_the_value_of_each_version",
  async () => {
    let updates = 0;
    let patches = 0;
    for (let seed = 0; seed < runs; seed += 1) {
      const server = new RecordServer(seed);
      server.socket = await server.world.online();
      const { client } = server.world;
      const all: { readonly heard: Updates; live: boolean }[] = [];
      const subscribe = (): void => {
        const heard = new Updates();
        const check = heard.callback;
        const callback = (update: Parameters<typeof check>[0]): void => {
          check(update);
          const { version, value } = update;
          const isTrue = version === 0 ? value === null : server.was.has(text(version, value));
          if (!isTrue) throw new Error(`seed ${seed}: at ${version} it was never ${JSON.stringify(value)}`);
        };
        const one = { heard: Object.assign(heard, { callback }), live: true };
        all.push(one);
        const mode = server.chance.below(4) === 0 ? "full" : "patch";
        void client.subscribeRecord("doc:1", callback, { mode, track: applyPatch }).then(({ success }) => {
          one.live &&= success;
        });
      };
      subscribe();
      for (let step = 0; step < 120; step += 1) {
        await server.step(() => {
          const live = all.filter((other) => other.live);
          const first = live[0];
          if (!first || (live.length < 3 && server.chance.below(2) === 0)) return subscribe();
          first.live = false;
          void client.unsubscribeRecord("doc:1", first.heard.callback);
        });
      }
      await server.rest();
      expect(server.world.reported).toEqual([]);
      for (const { heard, live } of all) {
        // Of a full value the last one may have been lost.
        const last = heard.all.at(-1)?.version ?? 0;
        if (live) expect(server.version - last, `seed ${seed}`).toBeLessThan(4);
        updates += heard.all.length;
        patches += heard.all.filter(({ patch }) => patch).length;
      }
    }
    expect([updates > runs * 20, patches > runs * 5]).toEqual([true, true]);
  },
  timeout,
);
