import type { AuthReason } from "./actions.js";
import { backoffMs } from "./backoff.js";
import type { CloseClass } from "./closes.js";

/** When a client tries again. */
export interface AttemptOptions {
  readonly shouldReconnect: boolean;
  readonly reconnectInterval: number;
  readonly maxReconnectAttempts: number;
  readonly random: () => number;
}

/** What follows a loss: an attempt at some time, nothing until the client is needed, or no more by itself. */
export type Next = { readonly at: number; readonly reason: AuthReason } | "idle" | "stop";

// A connection that lived for less doesn't make the next wait shorter: a server that takes every connection and drops
// it at once would otherwise be dialled without end (trap u).
const stableMs = 10_000;

/** Counts what went wrong since the last stable connection, and decides what follows. */
export class Attempts {
  readonly #options: AttemptOptions;
  #failures = 0;
  /** Whether a new credential was already asked for. */
  #refreshed = false;

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  /** Whether an attempt or a connection failed of late. */
  get failing(): boolean {
    return this.#failures > 0;
  }

  /** The application asks for an attempt: a new credential may be asked for again. */
  begin(): void {
    this.#refreshed = false;
  }

  /** A connection is lost, or an attempt failed; `onlineMs` is 0 for an attempt. */
  lost(kind: CloseClass, onlineMs: number, now: number): Next {
    const { shouldReconnect, maxReconnectAttempts, reconnectInterval, random } = this.#options;
    if (onlineMs >= stableMs) {
      this.#failures = 0;
      this.#refreshed = false;
    }
    if (kind === "give_up" || (kind === "refresh" && this.#refreshed)) return this.#stop();
    if (kind === "refresh" && (shouldReconnect || onlineMs === 0)) {
      this.#refreshed = true;
      return { at: now, reason: "expired" };
    }
    this.#failures += 1;
    if (!shouldReconnect) return "idle";
    if (this.#failures > maxReconnectAttempts) return this.#stop();
    return { at: now + backoffMs(reconnectInterval, this.#failures, random), reason: "reconnect" };
  }

  /** How long to wait before one thing is tried again over a connection that lives. */
  retryMs(): number {
    return backoffMs(this.#options.reconnectInterval, 3, this.#options.random);
  }

  #stop(): "stop" {
    this.#failures = 0;
    return "stop";
  }
}
