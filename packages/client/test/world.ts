import type { Clock } from "../src/clock.js";
import { MeshClient, type MeshClientOptions } from "../src/index.js";
import type { Socket, SocketEvents } from "../src/socket.js";
import type { Wake } from "../src/wake.js";

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  #now = 0;
  readonly #timers: Set<{ readonly at: number; readonly callback: () => void }> = new Set();

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Moves on, ringing on the way what is due, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > end) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await settle();
    }
    this.#now = Math.max(this.#now, end);
    await settle();
  }

  /** Time passes while the machine sleeps: no timer rings. */
  sleep(ms: number): void {
    this.#now += ms;
  }
}

/** Lets every promise that can settle do so. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

/** A socket whose other end is the test. */
export class FakeSocket implements Socket {
  readonly sent: unknown[] = [];
  /** As if so much of what was sent were not on its way yet. */
  bufferedAmount = 0;
  read = 0;
  state: "connecting" | "open" | "closed" = "connecting";
  hungup: { readonly code: number; readonly dead: boolean } | undefined;
  readonly events: SocketEvents;

  constructor(events: SocketEvents) {
    this.events = events;
  }

  send(text: string): void {
    if (this.state === "open") this.sent.push(JSON.parse(text));
  }

  hangup(code: number, dead: boolean): Promise<void> {
    this.state = "closed";
    this.hungup = { code, dead };
    return Promise.resolve();
  }

  open(): void {
    this.state = "open";
    this.events.opened();
  }

  /** A frame from the server. */
  say(frame: unknown): void {
    this.events.frame(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  close(code: number, reason = ""): void {
    this.state = "closed";
    this.events.closed(code, reason);
  }

  /** The next frame that the client sent and the test has not looked at. */
  next(): { id: number; command: string; payload?: unknown } {
    const frame = this.sent[this.read];
    if (frame === undefined) throw new Error("the client sent nothing more");
    this.read += 1;
    return frame as { id: number; command: string; payload?: unknown };
  }

  /** Opens, and answers the hello. */
  hello(connectionId = "conn-1"): void {
    this.open();
    const { id, command } = this.next();
    const limits = { messageBytes: 262_144, inFlight: 32, waiting: 1_024 };
    const payload = { protocol: 1, connectionId, serverTime: 0, pingInterval: 10_000, limits };
    this.say({ id, command, payload });
  }

  /** Answers the next command. */
  answer(payload: unknown): { command: string; payload?: unknown } {
    const frame = this.next();
    this.say({ id: frame.id, command: frame.command, payload });
    return frame;
  }
}

/** A client with its world. */
export class World {
  readonly clock: FakeClock = new FakeClock();
  readonly sockets: FakeSocket[] = [];
  readonly client: MeshClient;
  /** What the jitter draws. */
  random = 0.5;
  watched = 0;
  wake: (what?: Wake) => void = () => {};
  /** What listeners threw while nobody listened to `error`. */
  readonly reported: unknown[] = [];

  constructor(options: MeshClientOptions = {}, url = "ws://test") {
    this.client = new MeshClient(url, {
      ...options,
      environment: {
        clock: this.clock,
        random: () => this.random,
        report: (error) => this.reported.push(error),
        openSocket: (_url, _protocol, events) => {
          const open = this.sockets.filter((socket) => socket.state !== "closed");
          if (open.length > 0) throw new Error("two sockets at once");
          const socket = new FakeSocket(events);
          this.sockets.push(socket);
          return socket;
        },
        watchWake: (callback) => {
          this.watched += 1;
          this.wake = (what = "wake") => callback(what);
          return () => {
            this.watched -= 1;
          };
        },
      },
    });
  }

  /** The socket dialled last. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("nothing was dialled");
    return socket;
  }

  /** Connects and answers the hello. */
  async online(): Promise<FakeSocket> {
    const connected = this.client.connect();
    await settle();
    this.socket.hello();
    await connected;
    return this.socket;
  }

  /** Waits for the next dial and answers its hello. */
  async again(ms = 30_000): Promise<FakeSocket> {
    const before = this.sockets.length;
    for (let waited = 0; this.sockets.length === before; waited += 100) {
      if (waited > ms) throw new Error("no dial");
      await this.clock.advance(100);
    }
    this.socket.hello(`conn-${this.sockets.length}`);
    await settle();
    return this.socket;
  }
}

/** How a promise ended, or that it has not. */
export async function outcome(promise: Promise<unknown>): Promise<unknown> {
  let result: unknown = "pending";
  promise.then(
    (value) => {
      result = { value };
    },
    (error: unknown) => {
      result = error;
    },
  );
  await settle();
  return result;
}
