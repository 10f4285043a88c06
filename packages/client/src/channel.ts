import { between, isOld, type Position, parsePosition } from "./positions.js";
import {
  type Callback,
  type Listener,
  type Op,
  type Payload,
  type SubscribeOptions,
  Topic,
} from "./topic.js";
import { isObject } from "./wire.js";

/** What comes with a message. */
export interface MessageMeta {
  /** Whether it is history, or was missed while there was no connection. */
  readonly replayed: boolean;
  /** Whether this client published it. */
  readonly own: boolean;
  /** Its number in the channel; there is none where the channel has no history. */
  readonly offset?: number | undefined;
  /** The life of the channel that the number belongs to. */
  readonly epoch?: string | undefined;
  /** The message's own mark. */
  readonly tag?: string | undefined;
  /** The mark of who published it. */
  readonly txn?: string | undefined;
}

/** Messages that are lost to this subscriber. What comes next comes after them. */
export interface Gap {
  /** `expired`, `epoch_changed`, `limit`, `no_history`, `lagged`, or a newer word of the server's. */
  readonly reason: string;
  /** How many, where that is known. */
  readonly missed?: number | undefined;
}

/** How to subscribe to a channel. */
export interface ChannelOptions extends SubscribeOptions {
  /** How many messages of the past to begin with. Default none. */
  readonly historyLimit?: number | undefined;
  /** Is told of what was lost, before any later message. */
  readonly onGap?: ((gap: Gap) => void) | undefined;
}

type Tell = (listener: Listener) => void;

interface Entry {
  readonly message: unknown;
  readonly position: Position | undefined;
  readonly txn: unknown;
}

// All that a server gives at once. Of what may have been missed, all that is left is wanted.
const historyMax = 1_000;
// What may come while the history for one more callback is read. Beyond, that callback begins with the newest of these.
const recentMax = 1_000;
const gapCommand = "mesh/channel-gap";

/** A channel: messages after the last position, in order and once each, or a gap that is told of first. */
export class ChannelTopic extends Topic {
  readonly kind = "channel";
  /** Whether the next message may have any offset: what is between was told of as a gap. */
  #jumps = false;
  /** What was told since the history for one more callback was asked for. */
  #recent: Tell[] = [];

  get about(): Payload {
    return { channel: this.name };
  }

  protected from(resumes: boolean): { body: Payload; limit: number } {
    const limit = resumes ? (this.skips ? 1 : historyMax) : this.#limit();
    const history = limit > 0 ? { historyLimit: limit } : {};
    // Who skips on purpose wants the newest, and not what he missed.
    const after = resumes && !this.skips && this.position ? { after: this.position } : {};
    return { body: { ...history, ...after }, limit };
  }

  /** Reads the history for callbacks that joined a subscription which the others have already. */
  protected also(): Op | undefined {
    this.#recent = [];
    this.#serve([], this.position ? 0 : historyMax);
    if (this.waits.length === 0 || !this.position) return undefined;
    const limit = this.#limit();
    return this.request("read", { limit, before: this.position.offset + 1 }, limit);
  }

  protected subscribed(op: Op, answer: Payload): void {
    const entries = list(answer.messages, answer.epoch);
    // Of a subscription that ended meanwhile nothing follows.
    if (op.kind === "read") return this.on ? this.#serve(entries, op.limit) : undefined;
    const head = parsePosition(answer);
    const end = entries.at(-1)?.position;
    // A part that brings nothing new is the last, or this would never end.
    const more = op.resumes && answer.more === true && end && !isOld(this.position, end);
    if (op.resumes) this.#resume(entries, head, answer.gap);
    else this.position = head;
    if (more) this.position = end;
    this.on = !more;
    this.interrupted = false;
    this.#jumps = false;
    this.#recent = [];
    if (this.on && !op.resumes) this.#serve(entries, op.limit);
  }

  override push(push: Payload): void {
    // The answer under way tells of it.
    if (push.command === gapCommand && this.op?.kind === "subscribe") this.interrupted = true;
    else super.push(push);
  }

  protected handle(push: Payload): void {
    if (push.command === gapCommand) {
      this.#gap(push.reason, push.missed);
      this.#jumps = true;
      return;
    }
    const entry = parseEntry(push, push.epoch);
    const { position } = entry;
    if (position) {
      if (isOld(this.position, position)) return;
      const fits = !this.position || this.#jumps || this.skips || between(this.position, position) === 0;
      if (!fits) {
        this.stale = true;
        return;
      }
      this.position = position;
    }
    this.#jumps = false;
    this.#all((listener) => this.#tell(listener, entry, false));
  }

  /** Hands out what was missed, after the gap if there is one. */
  #resume(entries: readonly Entry[], head: Position | undefined, gap: unknown): void {
    const told = isObject(gap) ? gap : undefined;
    const last = told?.reason === "epoch_changed" ? undefined : this.position;
    const first = entries[0]?.position ?? (head && { ...head, offset: head.offset + 1 });
    // Where nothing was there before, the first message is the first that there is.
    const before = this.position ? between(last, first) : first && first.offset - 1;
    const missed = before !== undefined && before > 0 && !this.skips ? before : undefined;
    if (told) this.#gap(told.reason, missed ?? told.missed);
    else if (missed !== undefined) this.#gap("expired", missed);
    // Only the answer tells whether the channel has a history. Without, and after a while without connection, who knows?
    else if (!head && this.interrupted) this.#gap("no_history");
    for (const entry of entries) {
      if (entry.position && isOld(last, entry.position)) continue;
      this.#all((listener) => this.#tell(listener, entry, true));
    }
    this.position = head && isOld(last, head) ? last : head;
  }

  /** Gives those who wait for no more than `limit` messages of history the newest of these. */
  #serve(entries: readonly Entry[], limit: number): void {
    // A history of another life than what follows it is none.
    const history = entries.filter(({ position }) => position?.epoch === this.position?.epoch);
    for (const wait of this.waits) {
      const { listener } = wait;
      const wanted = listener.options.historyLimit ?? 0;
      if (wanted > limit && limit < historyMax) continue;
      const given = wanted > 0 && this.#recent.length < recentMax ? history.slice(-wanted) : [];
      if (!listener.served) {
        for (const entry of given) this.#tell(listener, entry, true);
        for (const tell of this.#recent) tell(listener);
      }
      this.serve(wait, { success: true, history: given.map(({ message }) => message).reverse() });
    }
  }

  #tell(listener: Listener, { message, position, txn }: Entry, replayed: boolean): void {
    const own = this.surroundings.txns.owns(txn);
    if (own && listener.options.echo === false) return;
    const meta = { replayed, own, ...position, ...(typeof txn === "string" ? { txn } : {}) };
    this.call(listener, listener.callback, message, meta satisfies MessageMeta);
  }

  #gap(reason: unknown, missed?: unknown): void {
    const gap = typeof missed === "number" ? { reason, missed } : { reason };
    this.#all((listener) => {
      const { onGap } = listener.options;
      if (onGap) this.call(listener, onGap as Callback, gap);
    });
  }

  #all(tell: Tell): void {
    for (const listener of this.listeners) if (listener.served) tell(listener);
    if (this.op && this.#recent.push(tell) > recentMax) this.#recent.shift();
  }

  #limit(): number {
    const limits = this.waits.map(({ listener }) => listener.options.historyLimit ?? 0);
    return Math.min(historyMax, Math.max(0, ...limits));
  }
}

function list(messages: unknown, epoch: unknown): Entry[] {
  return (Array.isArray(messages) ? messages : []).filter(isObject).map((item) => parseEntry(item, epoch));
}

function parseEntry(value: Payload, epoch: unknown): Entry {
  return { message: value.message ?? null, position: parsePosition({ ...value, epoch }), txn: value.txn };
}
