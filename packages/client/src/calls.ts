import { Ids } from "./ids.js";
import type { Join } from "./rooms.js";
import type { Op } from "./topic.js";
import { writeCommand } from "./wire.js";

/** A command as the application gives it. */
export interface Request {
  readonly key: number;
  readonly command: string;
  readonly body: string | undefined;
  readonly bytes: number;
  readonly timeoutMs: number;
  readonly offline: "queue" | "fail";
  readonly room?: { readonly name: string; readonly join: boolean };
  /** Of what is written again and again: what that is. */
  readonly subject?: string | undefined;
  readonly maxRate?: number | undefined;
  readonly volatile?: boolean | undefined;
}

/** A command on its way, ours or the application's. */
export interface Call {
  /** The application's handle on it; 0 for the session's own. */
  readonly key: number;
  /** What the session does with the answer, before the application hears of it. */
  readonly kind: "user" | "hello" | "rejoin" | "probe" | "topic" | "ended";
  readonly command: string;
  /** The payload as JSON; `undefined` where there is none. */
  readonly body: string | undefined;
  /** The length of its frame. */
  readonly bytes: number;
  readonly timeoutMs: number;
  /** When it is given up; `Infinity` for never. */
  readonly deadline: number;
  /** Of a join: which room it is about. */
  readonly join?: Join;
  /** Of a channel's or record's: what it is to do. */
  readonly op?: Op;
  /** Whether it is dropped where it would have to wait. */
  readonly volatile?: boolean;
  /** Whether it has gone to a socket. */
  sent?: boolean;
}

/** What may wait here to be sent at most: for a connection, or for the server to answer others. */
export interface QueueLimits {
  readonly commands: number;
  readonly bytes: number;
}

/** How much a server takes at once, by its answer to the hello. */
export interface ServerLimits {
  /** How long a message may be. */
  readonly messageBytes: number;
  /** How many commands of a connection run at once. */
  readonly inFlight: number;
  /** How many more may wait. */
  readonly waiting: number;
}

/** What a server takes unless it says otherwise. */
export const serverLimits: ServerLimits = { messageBytes: 262_144, inFlight: 32, waiting: 1_024 };

// How much may wait in a server, whatever its number. PROTOCOL.md names it; the answer to the hello doesn't.
const waitingBytesMax = 262_144;

/**
 * The commands that wait to be sent, and those that wait for an answer. No more are sent than the server lets wait: a queue
 * that is drained all at once after a reconnect would be answered `too_many_in_flight`.
 */
export class Calls {
  readonly #limits: QueueLimits;
  #ids: Ids = new Ids();
  #sent: Map<number, Call> = new Map();
  #sentBytes = 0;
  #queue: Call[] = [];
  #queueBytes = 0;
  // Never later than the first deadline. It may be earlier, since calls that end don't move it: then the timer fires
  // once for nothing, which costs less than a search for each answer.
  #dueAt = Number.POSITIVE_INFINITY;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Gives the call an id and answers its frame, or `undefined` if there is no id. */
  send(call: Call): string | undefined {
    const id = this.#ids.take();
    if (id === undefined) return undefined;
    call.sent = true;
    this.#sent.set(id, call);
    this.#sentBytes += call.bytes;
    this.#dueAt = Math.min(this.#dueAt, call.deadline);
    return writeCommand(id, call.command, call.body);
  }

  /** The call that an answer belongs to; `undefined` if it ended before. Its id is free from now on. */
  answered(id: unknown): Call | undefined {
    const call = this.#sent.get(id as number);
    if (!call) return undefined;
    this.#sent.delete(id as number);
    this.#sentBytes -= call.bytes;
    this.#ids.release(id as number);
    return call.kind === "ended" ? undefined : call;
  }

  /** Keeps the call until it can be sent, or answers it where there is no room. */
  enqueue(call: Call): Call | undefined {
    if (this.#queue.length >= this.#limits.commands || this.#queueBytes + call.bytes > this.#limits.bytes) {
      return call;
    }
    this.#queue.push(call);
    this.#queueBytes += call.bytes;
    this.#dueAt = Math.min(this.#dueAt, call.deadline);
    return undefined;
  }

  /** Whether a call of that length may be sent now, before whatever is queued. */
  fits(bytes: number, server: ServerLimits): boolean {
    const unanswered = this.#ids.size;
    if (unanswered < server.inFlight) return true;
    return unanswered < server.inFlight + server.waiting && this.#sentBytes + bytes <= waitingBytesMax;
  }

  /** Whether a call has to wait behind others. */
  get queued(): boolean {
    return this.#queue.length > 0;
  }

  /** Takes the next of the queue that may be sent. */
  next(server: ServerLimits): Call | undefined {
    const call = this.#queue[0];
    if (!call || !this.fits(call.bytes, server)) return undefined;
    this.#queue.shift();
    this.#queueBytes -= call.bytes;
    return call;
  }

  /** Takes all that was queued, in order. */
  drain(): Call[] {
    const queue = this.#queue;
    this.#queue = [];
    this.#queueBytes = 0;
    return queue;
  }

  /** The connection is gone: takes all that was sent, and begins again with all ids free. */
  reset(): Call[] {
    const sent = [...this.#sent.values()];
    this.#sent = new Map();
    this.#sentBytes = 0;
    this.#ids = new Ids();
    return sent;
  }

  /** Takes the calls that match. The ids of those that were sent stay taken until their answers come. */
  remove(matches: (call: Call) => boolean): Call[] {
    const removed: Call[] = [];
    for (const [id, call] of this.#sent) {
      if (call.kind === "ended" || !matches(call)) continue;
      removed.push(call);
      this.#sent.set(id, { ...call, kind: "ended", body: undefined, deadline: Number.POSITIVE_INFINITY });
    }
    const queue: Call[] = [];
    for (const call of this.#queue) {
      if (!matches(call)) {
        queue.push(call);
        continue;
      }
      removed.push(call);
      this.#queueBytes -= call.bytes;
    }
    this.#queue = queue;
    return removed;
  }

  /** Takes the calls whose time is up. */
  expired(now: number): Call[] {
    if (now < this.#dueAt) return [];
    const expired = this.remove((call) => call.deadline <= now);
    this.#dueAt = Number.POSITIVE_INFINITY;
    for (const call of [...this.#sent.values(), ...this.#queue]) {
      this.#dueAt = Math.min(this.#dueAt, call.deadline);
    }
    return expired;
  }

  /** When `expired` has something to do at the earliest. */
  dueAt(): number {
    return this.#sent.size + this.#queue.length === 0 ? Number.POSITIVE_INFINITY : this.#dueAt;
  }
}

/** A command of the session's own, of which the application never hears. */
export function ownCall(
  kind: "hello" | "rejoin" | "probe" | "topic",
  command: string,
  body: string | undefined,
  timeoutMs: number,
  now = 0,
  room?: string,
): Call {
  const call = { key: 0, kind, command, body, bytes: 0, timeoutMs, deadline: now + timeoutMs };
  return room === undefined ? call : { ...call, join: { name: room, room: call } };
}
