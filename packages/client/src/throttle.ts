import type { Call, QueueLimits } from "./calls.js";

/** How often one thing is written at most. */
export interface Rate {
  /** What is written: a channel, a record, a command. */
  readonly subject: string;
  /** How often a second. */
  readonly maxRate: number;
}

interface Lane {
  /** When the last write was sent. */
  leftAt: number;
  /** When the next one may be. */
  freeAt: number;
  /** The next one. A newer one takes its place. */
  call: Call | undefined;
}

const never = Number.POSITIVE_INFINITY;

/**
 * The commands that are sent at most so often. Of each subject one waits, the newest; those that gave way to it end as it does.
 * The bounds are those of the queue: so many wait, so many gave way, so many subjects are known.
 */
export class Throttle {
  readonly #limits: QueueLimits;
  /** By subject; the one that left last is the last. */
  readonly #lanes: Map<string, Lane> = new Map();
  /** The calls that gave way, and the key of the one that has their place. */
  readonly #gaveWay: Map<Call, number> = new Map();
  #seenAt = -never;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /**
   * Lets a call wait for its turn, if only for a moment. Answers which one there is no room for: this one, or the oldest that gave
   * way.
   */
  add(call: Call, { subject, maxRate }: Rate): Call | undefined {
    const lane = this.#lanes.get(subject) ?? { leftAt: -never, freeAt: 0, call: undefined };
    const others = [...this.#lanes.values()].filter((other) => other.call && other !== lane);
    const bytes = others.reduce((sum, other) => sum + (other.call?.bytes ?? 0), call.bytes);
    if (others.length >= this.#limits.commands || bytes > this.#limits.bytes) return call;
    // Forgets when that was last written which has been left alone for the longest.
    const [idle] = [...this.#lanes].find(([, other]) => !other.call) ?? [];
    if (idle !== undefined && this.#lanes.size >= this.#limits.commands) this.#lanes.delete(idle);
    this.#lanes.set(subject, lane);
    const { call: older } = lane;
    lane.call = call;
    lane.freeAt = lane.leftAt + 1_000 / maxRate;
    if (!older) return undefined;
    for (const each of [...this.follow(older.key), { ...older, body: undefined }]) {
      this.#gaveWay.set(each, call.key);
    }
    const [oldest] = this.#gaveWay.size > this.#limits.commands ? this.#gaveWay.keys() : [];
    if (oldest) this.#gaveWay.delete(oldest);
    return oldest;
  }

  /** Takes the next call whose turn it is, if it may be sent now. */
  next(now: number, may: (call: Call) => boolean): Call | undefined {
    this.#seenAt = now;
    for (const [subject, lane] of this.#lanes) {
      const { call } = lane;
      if (!call || lane.freeAt > now || !may(call)) continue;
      lane.leftAt = now;
      lane.call = undefined;
      this.#lanes.delete(subject);
      this.#lanes.set(subject, lane);
      return call;
    }
    return undefined;
  }

  /** Takes the calls that gave way to that one. */
  follow(key: number): Call[] {
    return this.#take((_, leader) => leader === key);
  }

  /** Takes the calls that match, of those that wait and of those that gave way. */
  remove(matches: (call: Call) => boolean): Call[] {
    const removed = this.#take(matches);
    for (const lane of this.#lanes.values()) {
      if (!lane.call || !matches(lane.call)) continue;
      removed.push(lane.call);
      lane.call = undefined;
    }
    return removed;
  }

  /** When there is something to do. What may be sent, but has no room, is no matter of time. */
  dueAt(isOnline: boolean): number {
    const times = [...this.#gaveWay.keys()].map(({ deadline }) => deadline);
    for (const { call, freeAt } of this.#lanes.values()) {
      if (call) times.push(call.deadline, isOnline && freeAt > this.#seenAt ? freeAt : never);
    }
    return Math.min(never, ...times);
  }

  #take(matches: (call: Call, leader: number) => boolean): Call[] {
    const taken = [...this.#gaveWay].filter(([call, leader]) => matches(call, leader)).map(([call]) => call);
    for (const call of taken) this.#gaveWay.delete(call);
    return taken;
  }
}
