import type { Action, AuthReason, Status } from "./actions.js";
import type { Request } from "./calls.js";
import { Alarm } from "./clock.js";
import { asCodeError, CodeError } from "./errors.js";
import type { Events } from "./events.js";
import {
  type CommandOptions,
  type Environment,
  environmentOf,
  type MeshClientOptions,
  sessionOptions,
} from "./options.js";
import { Session } from "./session.js";
import type { Socket } from "./socket.js";
import type { Wish } from "./topics.js";
import { Txns } from "./txns.js";
import { byteLength, writeCommand } from "./wire.js";

interface Waiter {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** How long a command waits for its answer where nothing else is said. */
export const timeoutMsDefault = 30_000;
// The longest id, since a command has none yet when it is measured.
const idLongest = 65_535;

/** Carries the session's wishes out, with a socket, a clock and promises, and tells it what comes of them. */
export class Driver {
  /** The marks of this client's writes. */
  readonly txns: Txns;
  readonly #url: string;
  readonly #auth: MeshClientOptions["auth"];
  readonly #events: Events;
  readonly #environment: Required<Environment>;
  readonly #session: Session;
  readonly #alarm: Alarm;
  readonly #calls: Map<number, Waiter> = new Map();
  #connecting: Waiter[] = [];
  #socket: Socket | undefined;
  #hungUp: Promise<void> | undefined;
  #unwatch: (() => void) | undefined;
  #closed = false;
  #key = 0;
  #actions: Action[] = [];
  #running = false;

  constructor(url: string, options: MeshClientOptions, events: Events) {
    this.#url = url;
    this.#auth = options.auth;
    this.#events = events;
    this.#environment = environmentOf(options);
    const { random } = this.#environment;
    this.txns = new Txns(random);
    this.#session = new Session({ ...sessionOptions(options, random), txns: this.txns });
    this.#alarm = new Alarm(this.#environment.clock, () => this.#tell((session, now) => session.time(now)));
  }

  get status(): Status {
    return this.#session.status;
  }

  get connectionId(): string | undefined {
    return this.#session.connectionId;
  }

  get reason(): CodeError | undefined {
    return this.#session.reason;
  }

  get retryMs(): number | undefined {
    return this.#session.retryMs(this.#environment.clock.now());
  }

  get serverTime(): number | undefined {
    return this.#session.serverTime(this.#environment.clock.now());
  }

  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connecting.push({ resolve: () => resolve(), reject });
      this.#tell((session, now) => session.connect(now));
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#tell((session) => session.close());
    // When a listener calls this, the socket is hung up only after the listener has returned.
    return Promise.resolve().then(() => this.#hungUp);
  }

  async command(
    command: string,
    payload: unknown,
    options: CommandOptions,
    about: Pick<Request, "room" | "subject"> = {},
  ): Promise<unknown> {
    const { timeout: timeoutMs = timeoutMsDefault, signal, offline = "queue", volatile, maxRate } = options;
    const body = encode(payload);
    const bytes = byteLength(writeCommand(idLongest, command, body));
    return this.#ask(signal, (key) => {
      const request = { ...about, key, command, body, bytes, timeoutMs, offline, volatile, maxRate };
      this.#tell((session, now) => session.call(request, now));
    });
  }

  /** Subscribes; resolves to the answer, with what belongs to it. */
  subscribe(wish: Omit<Wish, "key">): Promise<unknown> {
    return this.#ask(wish.options?.signal, (key) =>
      this.#tell((session, now) => session.subscribe({ ...wish, key }, now)),
    );
  }

  /** Ends subscriptions; resolves to whether there was one. */
  unsubscribe(wish: Omit<Wish, "key">): Promise<unknown> {
    return this.#ask(undefined, (key) =>
      this.#tell((session, now) => session.unsubscribe({ ...wish, key }, now)),
    );
  }

  /** Has the session told of something, and waits for what comes of it. */
  #ask(signal: AbortSignal | undefined, tell: (key: number) => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal, false));
      this.#key += 1;
      const key = this.#key;
      const abort = (): void =>
        this.#tell((session, now) => session.abort(key, (sent) => cancelled(signal, sent), now));
      const done = (): void => signal?.removeEventListener("abort", abort);
      signal?.addEventListener("abort", abort);
      this.#calls.set(key, {
        resolve: (value) => {
          done();
          resolve(value);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      tell(key);
    });
  }

  /** Tells the session something and does what it wants done; what comes meanwhile waits for its turn. */
  #tell(input: (session: Session, now: number) => void): void {
    // What was asked for meanwhile the session counts itself.
    if (!this.#running) this.#session.buffered(this.#socket?.bufferedAmount ?? 0);
    input(this.#session, this.#environment.clock.now());
    this.#actions.push(...this.#session.take());
    if (this.#running) return;
    this.#running = true;
    try {
      for (let action = this.#actions.shift(); action; action = this.#actions.shift()) this.#run(action);
    } finally {
      // Only an environment that isn't ours can throw here. The client goes on with the rest at its next turn.
      this.#running = false;
    }
    this.#alarm.set(this.#session.dueAt());
  }

  #run(action: Action): void {
    switch (action.do) {
      case "auth":
        return this.#authenticate(action.generation, action.reason);
      case "dial":
        this.#socket = this.#dial(action.generation);
        return;
      case "send":
        return this.#socket?.send(action.text);
      case "hangup":
        if (this.#socket) this.#hungUp = this.#socket.hangup(action.code, action.dead);
        return;
      case "resolve":
        return this.#waiter(action.key)?.resolve(action.value);
      case "reject":
        return this.#waiter(action.key)?.reject(action.error);
      case "connected":
        for (const waiter of this.#connectors()) waiter.resolve(undefined);
        return;
      case "unconnected":
        for (const waiter of this.#connectors()) waiter.reject(action.error);
        return;
      case "emit":
        return this.#events.emit(action);
      case "push":
        return this.#events.push(action.name, action.payload);
      case "call":
        // An earlier callback may have ended this one.
        if (!action.listener.ended) this.#events.call(action.callback, action.args);
        return;
    }
  }

  #authenticate(generation: number, reason: AuthReason): void {
    // A listener may have closed the client since the session asked for this.
    if (this.#closed) return;
    this.#unwatch ??= this.#environment.watchWake((what) =>
      this.#tell((session, now) => session.wake(what, now)),
    );
    const auth = this.#auth;
    if (!auth) return this.#tell((session, now) => session.credential(generation, undefined, now));
    const credential = new Promise((resolve) => resolve(auth({ reason }))).then(encode);
    credential.then(
      (body) => this.#tell((session, now) => session.credential(generation, body, now)),
      (thrown: unknown) => {
        const error = asCodeError(thrown, "auth_failed", true);
        this.#tell((session, now) => session.credentialFailed(generation, error, now));
      },
    );
  }

  #dial(generation: number): Socket {
    return this.#environment.openSocket(this.#url, "mesh.v1", {
      opened: () => this.#tell((session, now) => session.opened(generation, now)),
      frame: (text) => this.#tell((session, now) => session.frame(generation, text, now)),
      closed: (code, reason) => this.#tell((session, now) => session.closed(generation, code, reason, now)),
      undialable: (why) => this.#tell((session) => session.undialable(generation, why)),
    });
  }

  #waiter(key: number): Waiter | undefined {
    const waiter = this.#calls.get(key);
    this.#calls.delete(key);
    return waiter;
  }

  #connectors(): Waiter[] {
    const waiters = this.#connecting;
    this.#connecting = [];
    return waiters;
  }
}

function encode(payload: unknown): string | undefined {
  try {
    return JSON.stringify(payload);
  } catch (error) {
    throw new CodeError(`The payload is no JSON value: ${String(error)}`, "bad_payload");
  }
}

/** The reason that `abort` was given, if it was given one, so that who aborts finds his own error again. */
function cancelled(signal: AbortSignal | undefined, sent: boolean): unknown {
  const reason: unknown = signal?.reason;
  const given = reason !== undefined && !(reason instanceof DOMException && reason.name === "AbortError");
  return given ? reason : new CodeError("The call was cancelled", "cancelled", "AbortError", { sent });
}
