import { type Action, type AuthReason, type Emitted, Status } from "./actions.js";
import { type AttemptOptions, Attempts } from "./attempts.js";
import { type Call, Calls, ownCall, type QueueLimits, type Request } from "./calls.js";
import { type CloseClass, closeClass, closeName } from "./closes.js";
import { CodeError, closedError, connectionError, disconnectedError, timeoutError } from "./errors.js";
import { Rooms } from "./rooms.js";
import { type Frame, isObject, isReserved, latencyText, parseFrame, pongText } from "./wire.js";

/** What a session is told once. */
export interface SessionOptions {
  /** How long the server may be silent. */
  readonly silenceMs: number;
  readonly queue: QueueLimits;
  readonly attempts: AttemptOptions;
}

type Phase = "idle" | "auth" | "dial" | "hello" | "restore" | "online" | "wait" | "stopped" | "closed";

const never = Number.POSITIVE_INFINITY;
const authMs = 30_000;
const dialMs = 10_000;
const probeMs = 2_000;
const rejoinMs = 10_000;
// Waking may skip the wait, but events that come in a burst dial no faster than this.
const wakeDialMsMin = 1_000;
// What a server takes unless its answer to the hello says otherwise.
const messageBytesDefault = 262_144;

/**
 * The client's one state machine, without socket and timer. Each input is told the time; those of a socket carry its
 * generation, and what an older one still has to say is ignored. `take` answers what is to be done, `dueAt` when `time`
 * is to be called.
 */
export class Session {
  readonly #silenceMs: number;
  readonly #attempts: Attempts;
  readonly #calls: Calls;
  readonly #rooms: Rooms = new Rooms();
  #actions: Action[] = [];
  #phase: Phase = "idle";
  #announced: Status = Status.OFFLINE;
  #generation = 0;
  #connectionId: string | undefined;
  /** As JSON, from its arrival until it is sent. */
  #credential: string | undefined;
  /** Of `wait`, `auth`, `dial` and `hello`: when it ends. */
  #phaseEnds = never;
  #heardAt = 0;
  #dialledAt = Number.NEGATIVE_INFINITY;
  #onlineAt = 0;
  #probeEnds = never;
  #wasOnline = false;
  #nextReason: AuthReason = "reconnect";
  #stopped: CodeError | undefined;
  #messageBytes = messageBytesDefault;

  constructor(options: SessionOptions) {
    this.#silenceMs = options.silenceMs;
    this.#attempts = new Attempts(options.attempts);
    this.#calls = new Calls(options.queue);
  }

  get status(): Status {
    if (this.#phase === "online") return Status.ONLINE;
    if (this.#phase === "idle" || this.#phase === "stopped" || this.#phase === "closed")
      return Status.OFFLINE;
    return this.#wasOnline || this.#attempts.failing ? Status.RECONNECTING : Status.CONNECTING;
  }

  get connectionId(): string | undefined {
    return this.#connectionId;
  }

  /** Takes what is to be done, in order. */
  take(): Action[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  /** When `time` is to be called; `Infinity` for never. */
  dueAt(): number {
    const calls = Math.min(this.#calls.dueAt(), this.#phaseEnds);
    if (!this.#isOpen()) return calls;
    const silent = this.#heardAt + this.#silenceMs;
    const rooms = this.#phase === "online" ? this.#rooms.dueAt() : never;
    return Math.min(calls, silent, this.#probeEnds, rooms);
  }

  // --- What the application wants -----------------------------------------------------------------------------------

  /** Connects, or joins the attempt under way. */
  connect(now: number): void {
    if (this.#phase === "closed") this.#do({ do: "unconnected", error: closedError() });
    else if (this.#phase === "online") this.#do({ do: "connected" });
    else if (this.#phase === "idle" || this.#phase === "stopped") this.#start(now);
  }

  /** Closes for good. */
  close(): void {
    if (this.#phase === "closed") return;
    const open = this.#isOpen();
    this.#hangup(1000, false);
    this.#enter("closed", never);
    this.#connectionId = undefined;
    this.#rejectSent();
    this.#rejectQueued(closedError());
    this.#do({ do: "unconnected", error: closedError() });
    if (open) this.#emit({ event: "close", args: [{ code: 1000, reason: "" }] });
    this.#emit({ event: "disconnect", args: [] });
  }

  /** Sends a command, or keeps it until there is a connection. */
  call(request: Request, now: number): void {
    const { key, command, body, bytes, timeoutMs, offline, room } = request;
    const refusal = this.#refusal(offline);
    if (refusal) return this.#do({ do: "reject", key, error: refusal });
    const deadline = now + timeoutMs;
    const call: Call = { key, kind: "user", command, body, bytes, timeoutMs, deadline };
    if (room && !room.join) this.#rooms.leave(room.name);
    const joining: Call = room?.join ? { ...call, join: this.#rooms.join(room.name) } : call;
    if (this.#phase === "online") return this.#send(joining);
    const full = this.#calls.enqueue(joining);
    if (full) return this.#reject(joining, full);
    if (this.#phase === "idle") this.#start(now);
  }

  /** The application no longer waits for that call. */
  abort(key: number, error: CodeError): void {
    for (const call of this.#calls.remove((other) => other.key === key)) this.#reject(call, error);
  }

  /** The machine woke up, or the network came back: asks whether the connection still lives, or dials sooner. */
  wake(now: number): void {
    this.time(now);
    if (this.#phase === "wait") {
      const sooner = Math.max(now, this.#dialledAt + wakeDialMsMin);
      this.#nextReason = "wake";
      this.#phaseEnds = Math.min(this.#phaseEnds, sooner);
      this.time(now);
    } else if (this.#phase === "online" && this.#probeEnds === never) {
      this.#probeEnds = now + probeMs;
      this.#send(ownCall("probe", "mesh/noop", undefined, never));
    }
  }

  // --- What the socket and the clock say ----------------------------------------------------------------------------

  /** The credential for the attempt is here, as JSON; `undefined` if there is none. */
  credential(generation: number, body: string | undefined, now: number): void {
    if (generation !== this.#generation || this.#phase !== "auth") return;
    this.#credential = body;
    this.#dialledAt = now;
    this.#enter("dial", now + dialMs);
    this.#do({ do: "dial", generation });
  }

  /** There is no credential to be had now. */
  credentialFailed(generation: number, error: CodeError, now: number): void {
    if (generation === this.#generation && this.#phase === "auth") this.#lost("retry", error, now);
  }

  /** The socket is open. */
  opened(generation: number, now: number): void {
    if (generation !== this.#generation || this.#phase !== "dial") return;
    this.#heardAt = now;
    this.#enter("hello", this.#phaseEnds);
    const credential = this.#credential === undefined ? "" : `,"credential":${this.#credential}`;
    this.#credential = undefined;
    this.#send(ownCall("hello", "mesh/hello", `{"protocol":1${credential}}`, never));
  }

  /** A frame came. */
  frame(generation: number, text: string, now: number): void {
    if (generation !== this.#generation || !this.#isOpen()) return;
    this.#heardAt = now;
    this.#probeEnds = never;
    const frame = parseFrame(text);
    if (!frame) return;
    this.#emit({ event: "message", args: [frame] });
    if (frame.id === undefined) return this.#push(frame);
    const call = this.#calls.answered(frame.id);
    if (call) this.#answer(call, frame, now);
  }

  /** The socket closed, or could not be opened. */
  closed(generation: number, code: number, reason: string, now: number): void {
    if (generation !== this.#generation || !(this.#phase === "dial" || this.#isOpen())) return;
    if (this.#isOpen()) this.#emit({ event: "close", args: [{ code, reason }] });
    const kind = closeClass(code);
    const details = { code, reason };
    const name = closeName(code, reason);
    const error =
      kind === "retry"
        ? connectionError(details)
        : new CodeError(`The server closed the connection: ${name}`, name, "ConnectionError", { details });
    this.#lost(kind, error, now);
  }

  /** Time has passed. */
  time(now: number): void {
    for (const call of this.#calls.expired(now)) {
      if (call.kind === "rejoin") this.#rejoinFailed(call, timeoutError(call.timeoutMs), now);
      else this.#reject(call, timeoutError(call.timeoutMs));
    }
    if (this.#phase === "wait" && now >= this.#phaseEnds) this.#attempt(this.#nextReason, now);
    else if (now >= this.#phaseEnds) this.#drop("The attempt took too long", now);
    else if (this.#isOpen() && now >= this.#heardAt + this.#silenceMs) this.#drop("silent", now);
    else if (now >= this.#probeEnds) {
      this.#drop("silent", now);
      this.wake(now);
    }
    if (this.#phase === "online") {
      for (const name of this.#rooms.due(now)) this.#sendRejoin(name, now);
    }
  }

  // --- Attempts -----------------------------------------------------------------------------------------------------

  #start(now: number): void {
    this.#stopped = undefined;
    this.#attempts.begin();
    this.#attempt(this.#wasOnline || this.#attempts.failing ? "reconnect" : "initial", now);
  }

  #attempt(reason: AuthReason, now: number): void {
    this.#generation += 1;
    this.#nextReason = "reconnect";
    this.#enter("auth", now + authMs);
    this.#do({ do: "auth", generation: this.#generation, reason });
  }

  #online(now: number): void {
    const again = this.#wasOnline;
    this.#wasOnline = true;
    this.#onlineAt = now;
    this.#enter("online", never);
    this.#do({ do: "connected" });
    this.#emit({ event: again ? "reconnect" : "connect", args: [] });
    for (const call of this.#calls.drain()) this.#send(call);
  }

  /** We give the connection up, since nothing comes from it any more. */
  #drop(why: string, now: number): void {
    const error = connectionError({ code: 4001, reason: why });
    if (this.#isOpen()) this.#emit({ event: "close", args: [{ code: 4001, reason: why }] });
    this.#hangup(4001, true);
    this.#lost("retry", error, now);
  }

  #lost(kind: CloseClass, error: CodeError, now: number): void {
    const onlineMs = this.#phase === "online" ? now - this.#onlineAt : 0;
    this.#connectionId = undefined;
    this.#probeEnds = never;
    this.#rejectSent();
    const next = this.#attempts.lost(kind, onlineMs, now);
    if (next === "stop") return this.#stop(error);
    if (next !== "idle" && next.reason === "expired") return this.#attempt(next.reason, now);
    // Before anybody hears of it: who then calls `connect` waits for what comes, not for what was.
    this.#do({ do: "unconnected", error });
    if (next === "idle") {
      this.#rejectQueued(error);
      this.#enter("idle", never);
    } else {
      this.#nextReason = next.reason;
      this.#enter("wait", next.at);
    }
    this.#emit({ event: "error", args: [error] });
  }

  /** No more attempts, until the application asks for one by `connect`. */
  #stop(error: CodeError): void {
    this.#stopped = error;
    this.#do({ do: "unconnected", error });
    this.#rejectQueued(error);
    this.#enter("stopped", never);
    this.#emit({ event: "error", args: [error] });
    this.#emit({ event: "reconnectfailed", args: [error] });
  }

  #hangup(code: number, dead: boolean): void {
    if (this.#phase !== "dial" && !this.#isOpen()) return;
    this.#do({ do: "hangup", generation: this.#generation, code, dead });
  }

  // --- Calls and answers --------------------------------------------------------------------------------------------

  #refusal(offline: "queue" | "fail"): CodeError | undefined {
    if (this.#phase === "closed") return closedError();
    if (this.#phase === "stopped" && this.#stopped) return this.#stopped;
    if (this.#phase === "online" || offline === "queue") return undefined;
    return new CodeError("There is no connection", "offline", "ConnectionError", { retryable: true });
  }

  #send(call: Call): void {
    // A frame that is too large would cost the connection (1009) and with it every other call.
    if (call.bytes > this.#messageBytes) {
      const message = `The message is larger than ${this.#messageBytes} bytes`;
      return this.#reject(call, new CodeError(message, "too_large"));
    }
    const text = this.#calls.send(call);
    if (text !== undefined) return this.#do({ do: "send", generation: this.#generation, text });
    const error = new CodeError("Every id waits for an answer", "too_many_in_flight", "CodeError", {
      retryable: true,
    });
    this.#reject(call, error);
  }

  #answer(call: Call, frame: Frame, now: number): void {
    if (call.kind === "hello") return this.#helloAnswered(frame, now);
    if (call.kind === "rejoin")
      return frame.error ? this.#rejoinFailed(call, frame.error, now) : this.#rejoined(now);
    if (call.kind === "probe") return;
    if (frame.error) return this.#reject(call, frame.error);
    if (call.join) this.#rooms.joined(call.join, true);
    this.#do({ do: "resolve", key: call.key, value: frame.payload });
  }

  #helloAnswered({ error, payload }: Frame, now: number): void {
    if (error) {
      this.#hangup(1000, false);
      const kind = error.code === "unauthorized" ? "refresh" : error.retryable ? "retry" : "give_up";
      return this.#lost(kind, error, now);
    }
    const { connectionId, limits } = isObject(payload) ? payload : {};
    if (typeof connectionId === "string") this.#connectionId = connectionId;
    const bytes = isObject(limits) ? limits.messageBytes : undefined;
    this.#messageBytes = typeof bytes === "number" && bytes > 0 ? bytes : messageBytesDefault;
    this.#enter("restore", never);
    this.#rooms.restore();
    this.#restore(now);
  }

  /** Joins the rooms again, a few at a time, and is online after the last answer. */
  #restore(now: number): void {
    for (const name of this.#rooms.next()) this.#sendRejoin(name, now);
    if (this.#rooms.complete && this.#phase === "restore") this.#online(now);
  }

  #sendRejoin(name: string, now: number): void {
    this.#send(ownCall("rejoin", "mesh/join-room", JSON.stringify({ roomName: name }), rejoinMs, now, name));
  }

  #rejoined(now: number): void {
    if (this.#phase !== "restore") return;
    this.#rooms.restored();
    this.#restore(now);
  }

  #rejoinFailed(call: Call, error: CodeError, now: number): void {
    const name = call.join?.name ?? "";
    if (error.retryable) this.#rooms.retry(name, now + this.#attempts.retryMs());
    else this.#rooms.leave(name);
    this.#emit({ event: "error", args: [error] });
    this.#rejoined(now);
  }

  #push({ command, payload }: Frame): void {
    if (command === "ping") {
      this.#do({ do: "send", generation: this.#generation, text: pongText });
      this.#emit({ event: "ping", args: [] });
    } else if (command === "latency:request") {
      this.#do({ do: "send", generation: this.#generation, text: latencyText });
    } else if (command === "latency") {
      if (typeof payload === "number") this.#emit({ event: "latency", args: [payload] });
    } else if (!isReserved(command)) {
      this.#do({ do: "push", name: command, payload });
    }
  }

  #reject(call: Call, error: CodeError): void {
    if (call.join) this.#rooms.joined(call.join, false);
    if (call.kind === "user") this.#do({ do: "reject", key: call.key, error });
  }

  #rejectSent(): void {
    for (const call of this.#calls.reset()) if (call.kind === "user") this.#reject(call, disconnectedError());
  }

  #rejectQueued(error: CodeError): void {
    for (const call of this.#calls.drain()) this.#reject(call, error);
  }

  // --- Bookkeeping --------------------------------------------------------------------------------------------------

  #isOpen(): boolean {
    return this.#phase === "hello" || this.#phase === "restore" || this.#phase === "online";
  }

  #enter(phase: Phase, ends: number): void {
    this.#phase = phase;
    this.#phaseEnds = ends;
    const status = this.status;
    if (status === this.#announced) return;
    this.#announced = status;
    this.#emit({ event: "status", args: [status] });
  }

  #emit(emitted: Emitted): void {
    this.#actions.push({ do: "emit", ...emitted });
  }

  #do(action: Action): void {
    this.#actions.push(action);
  }
}
