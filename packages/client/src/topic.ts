import type { Action } from "./actions.js";
import type { ChannelOptions } from "./channel.js";
import { CodeError } from "./errors.js";
import type { WaitOptions } from "./options.js";
import type { Position } from "./positions.js";
import type { RecordOptions } from "./record.js";
import type { Txns } from "./txns.js";

/** What a server may send, not yet looked into. */
export type Payload = Readonly<Record<string, unknown>>;

/** Any callback of the application's. */
export type Callback = (...args: never[]) => void;

/** What everybody who subscribes may ask for. */
export interface SubscribeOptions extends WaitOptions {
  /** Only the newest counts: the server lets those that wait to be sent give way to it. */
  readonly latest?: boolean | undefined;
  /** At most so many a second, 0.01 to 1,000; implies `latest`. The last one always comes. */
  readonly maxRate?: number | undefined;
  /** Whether what this client itself wrote comes back to this callback. Default true. */
  readonly echo?: boolean | undefined;
}

/** What a subscription to either may ask for. */
export type TopicOptions = ChannelOptions & RecordOptions;

/** One callback. */
export interface Listener {
  readonly callback: Callback;
  options: TopicOptions;
  /** Whether it has been given what there was, so that what is new is for it, too. */
  served: boolean;
  /** Whether it is never to be called again. What is still to be done for it must see that. */
  ended: boolean;
}

/** A subscription that the application waits for. */
export interface Wait {
  readonly key: number;
  readonly topic: Topic;
  readonly listener: Listener;
  readonly timeoutMs: number;
  readonly deadline: number;
  done: boolean;
}

/** A command of a topic's on its way. */
export interface Op {
  readonly topic: Topic;
  readonly kind: "subscribe" | "unsubscribe" | "read";
  readonly command: string;
  readonly body: Payload;
  /** Of a channel: how much history was asked for. */
  readonly limit: number;
  /** Of `subscribe`: whether somebody is to be given what he missed. */
  readonly resumes: boolean;
}

/** What a topic needs of the client around it. */
export interface Surroundings {
  readonly emit: (action: Action) => void;
  readonly txns: Txns;
}

/** How long a subscription waits for its answer where nothing else is said. */
export const topicMs = 30_000;
// More can't come before an answer, unless the server breaks its word; then the hole is seen by the offsets.
const heldMax = 1_000;

/**
 * One channel or record: who listens, and how it stands on this connection. What the application wishes is in `listeners`; `next`
 * tells the command that brings the server nearer to that. One is under way at a time, so the last wish wins (trap w).
 */
export abstract class Topic {
  readonly name: string;
  listeners: Listener[] = [];
  waits: Wait[] = [];
  /** The command under way. */
  op: Op | undefined;
  /** Whether this connection is subscribed. What nobody can know counts as yes. */
  on = false;
  /** Whether to subscribe again, although it is. */
  stale = false;
  /** Whether something may have been missed that no answer has told of yet. */
  protected interrupted = false;
  protected readonly surroundings: Surroundings;
  /** Of the last entry handed out. */
  protected position: Position | undefined;
  /** What the server was asked for, beside the name. */
  #asked = "";
  /** What came before the answer to a subscription (traps d, bb). */
  #held: Payload[] = [];
  /** Who waits for the end of the subscription. */
  #leaving: number[] = [];

  constructor(name: string, surroundings: Surroundings) {
    this.name = name;
    this.surroundings = surroundings;
  }

  /** What is told in an error, to say which topic it is about. */
  abstract get about(): Payload;
  abstract readonly kind: "channel" | "record";
  /** What to ask for when subscribing, beside `wishes`. */
  protected abstract from(resumes: boolean): { readonly body: Payload; readonly limit: number };
  /** What else is to be done while subscribed. */
  protected abstract also(): Op | undefined;
  protected abstract subscribed(op: Op, answer: Payload): void;
  protected abstract handle(push: Payload): void;

  /** Registers a callback. The same one twice is one (trap k). */
  add(key: number, callback: Callback, options: TopicOptions, now: number): Wait {
    let listener = this.listeners.find((other) => other.callback === callback);
    if (listener) listener.options = options;
    else {
      listener = { callback, options, served: false, ended: false };
      this.listeners.push(listener);
    }
    const { timeout: timeoutMs = topicMs } = options;
    const wait = { key, topic: this, listener, timeoutMs, deadline: now + timeoutMs, done: false };
    this.waits.push(wait);
    this.left();
    return wait;
  }

  /** Removes callbacks. Who still waits for one of them learns that it was removed. */
  remove(matches: (listener: Listener) => boolean): boolean {
    const removed = this.listeners.filter(matches);
    for (const listener of removed) listener.ended = true;
    this.listeners = this.listeners.filter((listener) => !listener.ended);
    const error = new CodeError("The subscription was ended meanwhile", "cancelled", "AbortError");
    this.refuse(error, ({ listener }) => listener.ended);
    return removed.length > 0;
  }

  /** Ends those waits, and the callbacks that were not served before. */
  refuse(error: unknown, matches: (wait: Wait) => boolean = () => true): void {
    for (const wait of this.#take(matches)) {
      const { key, listener } = wait;
      this.surroundings.emit({ do: "reject", key, error });
      listener.ended ||= !listener.served && this.waits.every((other) => other.listener !== listener);
    }
    this.listeners = this.listeners.filter(({ ended }) => !ended);
  }

  /** Somebody waits for the end of the subscription. */
  leave(key: number): void {
    this.#leaving.push(key);
  }

  /** It has come, or is no longer wished for. */
  left(): void {
    for (const key of this.#leaving.splice(0)) this.surroundings.emit({ do: "resolve", key, value: true });
  }

  /** The connection is gone. */
  lost(): void {
    this.on = false;
    this.interrupted = true;
    this.op = undefined;
    this.#held = [];
    this.left();
  }

  /** What to send now, if anything. Only for a topic without a command under way. */
  next(): Op | undefined {
    if (this.listeners.length === 0) return this.on ? this.request("unsubscribe", {}) : undefined;
    const wishes = this.wishes();
    const asked = JSON.stringify(wishes);
    if (this.on && !this.stale && asked === this.#asked) return this.also();
    this.stale = false;
    this.#asked = asked;
    const resumes = this.listeners.some(({ served }) => served);
    const { body, limit } = this.from(resumes);
    return this.request("subscribe", { ...wishes, ...body }, limit, resumes);
  }

  /** The command under way was answered. */
  answered(op: Op, answer: Payload): void {
    const life = this.position?.epoch;
    this.op = undefined;
    if (op.kind === "unsubscribe") {
      this.on = false;
      this.left();
    } else this.subscribed(op, answer);
    this.#release(life);
  }

  /** The command under way failed. `isKnown` says whether the server told so. */
  failed(op: Op, error: CodeError, isKnown: boolean): void {
    const isOurs = this.waits.length === 0;
    this.op = undefined;
    if (op.kind === "unsubscribe") this.on = error.retryable;
    else this.refuse(error);
    if (op.kind === "subscribe") {
      this.on ||= !isKnown;
      this.stale = true;
      // It may be about what those wished for who are gone now. The others are asked for once more.
      if (isOurs && !error.retryable) this.remove(() => true);
    }
    this.left();
    this.#release();
    this.#held = [];
  }

  /**
   * The server no longer lets this client listen; answers whether callbacks were given up for that. Where somebody waits for a
   * subscription, its answer decides.
   */
  ended(): boolean {
    if (!this.on || this.op?.kind === "unsubscribe") return false;
    this.on = false;
    // From here on nothing comes until it is subscribed once more.
    this.interrupted = true;
    if (this.op?.kind === "subscribe" || this.waits.length > 0) return false;
    return this.remove(() => true);
  }

  /** The server pushed. */
  push(push: Payload): void {
    if (this.op?.kind === "subscribe") {
      if (this.#held.length < heldMax) this.#held.push(push);
    } else if (this.on && !this.interrupted && this.listeners.length > 0) this.handle(push);
  }

  /** Where the callbacks of one topic wish for different things, the one that wishes for the most decides. */
  protected wishes(): Payload {
    const all = this.listeners.map(({ options }) => options);
    const rates = all.map(({ maxRate }) => maxRate ?? Number.POSITIVE_INFINITY);
    const maxRate = Math.max(...rates);
    if (Number.isFinite(maxRate)) return { maxRate };
    return all.every((options) => options.latest || options.maxRate) ? { latest: true } : {};
  }

  /** Whether entries may be left out on purpose. */
  protected get skips(): boolean {
    return this.#asked.includes("latest") || this.#asked.includes("maxRate");
  }

  protected request(kind: Op["kind"], more: Payload, limit = 0, resumes = false): Op {
    const command = kind === "read" ? "mesh/get-channel-history" : `mesh/${kind}-${this.kind}`;
    return { topic: this, kind, command, body: { ...this.about, ...more }, limit, resumes };
  }

  /** Somebody has what he waited for, and is told of all that follows. */
  protected serve(wait: Wait, value: unknown): void {
    wait.listener.served = true;
    this.#take((other) => other === wait);
    this.surroundings.emit({ do: "resolve", key: wait.key, value });
  }

  /** Has a callback called, unless it is ended before its turn comes. */
  protected call(listener: Listener, callback: Callback, ...args: readonly unknown[]): void {
    this.surroundings.emit({ do: "call", listener, callback, args });
  }

  #take(matches: (wait: Wait) => boolean): Wait[] {
    const taken = this.waits.filter(matches);
    for (const wait of taken) wait.done = true;
    this.waits = this.waits.filter(({ done }) => !done);
    return taken;
  }

  /** Handles what was held, except for what is left of a life that the answer says is over. */
  #release(life?: string): void {
    const isOver = life !== undefined && life !== this.position?.epoch;
    for (const push of this.on ? this.#held.splice(0) : [])
      if (!isOver || push.epoch !== life) this.push(push);
  }
}
