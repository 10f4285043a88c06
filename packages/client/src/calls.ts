import { CodeError } from "./errors.js";
import { Ids } from "./ids.js";
import type { Join } from "./rooms.js";
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
}

/** A command on its way, ours or the application's. */
export interface Call {
  /** The application's handle on it; 0 for the session's own. */
  readonly key: number;
  /** What the session does with the answer, before the application hears of it. */
  readonly kind: "user" | "hello" | "rejoin" | "probe";
  readonly command: string;
  /** The payload as JSON; `undefined` where there is none. */
  readonly body: string | undefined;
  readonly bytes: number;
  readonly timeoutMs: number;
  /** When it is given up; `Infinity` for never. */
  readonly deadline: number;
  /** Of a join: which room it is about. */
  readonly join?: Join;
}

/** What the queue for times without a connection holds at most. */
export interface QueueLimits {
  readonly commands: number;
  readonly bytes: number;
}

/** The commands that wait for a connection, and those that wait for an answer. */
export class Calls {
  readonly #limits: QueueLimits;
  #ids: Ids = new Ids();
  #sent: Map<number, Call> = new Map();
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
    this.#sent.set(id, call);
    this.#dueAt = Math.min(this.#dueAt, call.deadline);
    return writeCommand(id, call.command, call.body);
  }

  /** The call that an answer belongs to; `undefined` if it ended before. Its id is free from now on. */
  answered(id: unknown): Call | undefined {
    if (typeof id !== "number") return undefined;
    const call = this.#sent.get(id);
    this.#sent.delete(id);
    this.#ids.release(id);
    return call;
  }

  /** Keeps the call until there is a connection, or answers why not. */
  enqueue(call: Call): CodeError | undefined {
    if (this.#queue.length >= this.#limits.commands || this.#queueBytes + call.bytes > this.#limits.bytes) {
      return new CodeError("Too many commands wait for a connection", "queue_full", "CodeError", {
        retryable: true,
      });
    }
    this.#queue.push(call);
    this.#queueBytes += call.bytes;
    this.#dueAt = Math.min(this.#dueAt, call.deadline);
    return undefined;
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
    this.#ids = new Ids();
    return sent;
  }

  /** Takes the calls that match. The ids of those that were sent stay taken until their answers come. */
  remove(matches: (call: Call) => boolean): Call[] {
    const removed: Call[] = [];
    for (const [id, call] of this.#sent) {
      if (!matches(call)) continue;
      removed.push(call);
      this.#sent.delete(id);
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
  kind: "hello" | "rejoin" | "probe",
  command: string,
  body: string | undefined,
  timeoutMs: number,
  now = 0,
  room?: string,
): Call {
  const call = { key: 0, kind, command, body, bytes: 0, timeoutMs, deadline: now + timeoutMs };
  return room === undefined ? call : { ...call, join: { name: room, room: call } };
}
