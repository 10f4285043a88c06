import type { Action } from "./actions.js";
import {
  type Call,
  Calls,
  type QueueLimits,
  type Request,
  type ServerLimits,
  serverLimits,
} from "./calls.js";
import { CodeError, disconnectedError, droppedError, queueFullError, tooLargeError } from "./errors.js";
import type { Rooms } from "./rooms.js";
import { Throttle } from "./throttle.js";
import type { Topics } from "./topics.js";

/** What a sender needs of the session around it. */
export interface SenderParts {
  readonly emit: (action: Action) => void;
  /** Gives a frame to the socket. */
  readonly send: (text: string) => void;
  readonly rooms: Rooms;
  readonly topics: Topics;
}

const never = Number.POSITIVE_INFINITY;
// More than a subscription takes, so that it isn't made in vain.
const topicBytes = 4_096;
// What is volatile doesn't wait behind more than this.
const volatileBytesMax = 65_536;
const rateMin = 0.01;
const rateMax = 1_000;

/** The commands, from the call to the answer: what is sent now, what waits, and who is told how it ended. */
export class Sender {
  /** How much the server takes. */
  server: ServerLimits = serverLimits;
  /** How many bytes the socket has not sent yet, with those that it is about to be given. */
  buffered = 0;
  readonly #calls: Calls;
  readonly #throttle: Throttle;
  readonly #parts: SenderParts;

  constructor(limits: QueueLimits, parts: SenderParts) {
    this.#calls = new Calls(limits);
    this.#throttle = new Throttle(limits);
    this.#parts = parts;
  }

  /** Sends a command of the application's, or keeps it until it can be sent; answers whether it keeps it. */
  call(request: Request, isOnline: boolean, now: number): boolean {
    const { key, command, body, bytes, timeoutMs, room, subject, maxRate, volatile = false } = request;
    const { rooms } = this.#parts;
    const deadline = now + timeoutMs;
    const call: Call = { key, kind: "user", command, body, bytes, timeoutMs, deadline, volatile };
    if (room && !room.join) rooms.leave(room.name);
    const joining: Call = room?.join ? { ...call, join: rooms.join(room.name) } : call;
    const isNext = isOnline && this.#isNext(call);
    const rate = maxRate !== undefined && { subject: subject ?? "", maxRate };
    // What can never be sent must not wait in front of what can. `send` refuses it.
    if (bytes > this.server.messageBytes || (isNext && !rate)) this.send(joining);
    else if (volatile && !isNext) this.#drop(call);
    else if (rate && !(subject && maxRate >= rateMin && maxRate <= rateMax)) {
      const message = `maxRate is from ${rateMin} to ${rateMax} a second, of whole values`;
      this.reject(call, new CodeError(message, "bad_payload", "CodeError", { sent: false }));
    } else {
      // `pump` sends what has a rate, if its turn is now.
      const over = rate ? this.#throttle.add(call, rate) : this.#calls.enqueue(joining);
      if (over) this.reject(over, queueFullError());
      return over?.key !== key;
    }
    return false;
  }

  /** Sends what waits, as far as the server takes it: first what brings the subscriptions back. */
  pump(now: number): void {
    while (this.#calls.fits(topicBytes, this.server)) {
      const call = this.#parts.topics.next(now);
      if (!call) break;
      this.send(call);
    }
    let call = this.#calls.next(this.server);
    for (; call; call = this.#calls.next(this.server)) this.send(call);
    const may = (waits: Call): boolean => waits.volatile === true || this.#isNext(waits);
    for (call = this.#throttle.next(now, may); call; call = this.#throttle.next(now, may)) {
      if (this.#isNext(call)) this.send(call);
      else this.#drop(call);
    }
  }

  /** Sends a command now. */
  send(call: Call): void {
    const { messageBytes } = this.server;
    if (call.bytes > messageBytes) return this.reject(call, tooLargeError(messageBytes));
    const text = this.#calls.send(call);
    if (text !== undefined) {
      this.buffered += call.bytes;
      return this.#parts.send(text);
    }
    const error = new CodeError("Every id waits for an answer", "too_many_in_flight", "CodeError", {
      retryable: true,
    });
    this.reject(call, error);
  }

  /** The command that an answer belongs to, if it is still waited for. */
  answered(id: unknown): Call | undefined {
    return this.#calls.answered(id);
  }

  /** Takes the commands whose time is up. */
  expired(now: number): Call[] {
    return [...this.#calls.expired(now), ...this.#throttle.remove(({ deadline }) => deadline <= now)];
  }

  /** When there is something to do at the earliest. */
  dueAt(isOnline: boolean): number {
    return Math.min(this.#calls.dueAt(), this.#throttle.dueAt(isOnline));
  }

  /** A command of the application's succeeded. */
  resolve(call: Call, value: unknown): void {
    if (call.join) this.#parts.rooms.joined(call.join, true);
    for (const { key } of [call, ...this.#throttle.follow(call.key)]) {
      this.#parts.emit({ do: "resolve", key, value });
    }
  }

  /** A command failed. */
  reject(call: Call, error: unknown): void {
    if (call.join) this.#parts.rooms.joined(call.join, false);
    // Only what can never be sent gets here, so there is no next time.
    if (call.op) this.#parts.topics.failed(call.op, error as CodeError, true, never);
    if (call.kind !== "user") return;
    for (const { key } of [call, ...this.#throttle.follow(call.key)]) {
      this.#parts.emit({ do: "reject", key, error });
    }
  }

  /** The application no longer waits for that call. */
  abort(key: number, error: (sent: boolean) => unknown): void {
    const isIt = (call: Call): boolean => call.key === key;
    for (const call of [...this.#calls.remove(isIt), ...this.#throttle.remove(isIt)]) {
      this.reject(call, error(call.sent === true));
    }
    this.#parts.topics.abort(key, error);
  }

  /** The connection is gone: what was sent will not be answered. */
  lost(retryable = true): void {
    for (const call of this.#calls.reset()) {
      if (call.kind === "user") this.reject(call, disconnectedError(true, retryable));
    }
    for (const call of this.#throttle.remove(({ volatile }) => volatile === true)) this.#drop(call);
    this.#parts.topics.lost();
  }

  /** There will be no connection for now: nothing is to wait for one. */
  rejectQueued(error: CodeError): void {
    for (const call of [...this.#calls.drain(), ...this.#throttle.remove(() => true)])
      this.reject(call, error);
    this.#parts.topics.reject(error);
  }

  /** Whether a call may be sent before all that waits. */
  #isNext({ bytes, volatile }: Call): boolean {
    if (volatile && this.buffered > volatileBytesMax) return false;
    return !this.#calls.queued && this.#calls.fits(bytes, this.server);
  }

  #drop(call: Call): void {
    this.reject(call, droppedError());
  }
}
