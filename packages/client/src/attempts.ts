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

/**
 * What follows a loss: an attempt at some time; nothing until the client is needed, by choice (`idle`) or because the
 * attempts are used up (`spent`); or no more, since the server said so (`stop`).
 */
export type Next = { readonly at: number; readonly reason: AuthReason } | "idle" | "spent" | "stop";

// A connection that lived for less doesn't make the next wait shorter: a server that takes every connection and drops
// it at once would otherwise be dialled without end (trap u).
const stableMs = 10_000;

/** Counts what went wrong since the last stable connection, and decides what follows. */
export class Attempts {
  readonly #options: AttemptOptions;
  #failures = 0;
  /** Whether a new credential was asked for and has not brought us online yet. */
  #refreshed = false;

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  /** The application asks for an attempt: a new credential may be asked for again. */
  begin(): void {
    this.#refreshed = false;
  }

  /** The machine woke up: what failed before that says nothing about now. */
  reset(): void {
    this.#failures = 0;
  }

  /** A connection is lost, or an attempt failed; `onlineMs` is `undefined` for an attempt. */
  lost(kind: CloseClass, onlineMs: number | undefined, now: number): Next {
    const { shouldReconnect, maxReconnectAttempts, reconnectInterval, random } = this.#options;
    if (onlineMs !== undefined) this.#refreshed = false;
    if (onlineMs !== undefined && onlineMs >= stableMs) this.#failures = 0;
    const refused = kind === "refresh" && this.#refreshed;
    if (kind === "give_up" || refused) return this.#end("stop");
    const first = this.#failures === 0;
    this.#failures += 1;
    if (kind === "refresh" && (shouldReconnect || onlineMs === undefined)) {
      this.#refreshed = true;
      // One that expires on its own time needs no jitter; one that is taken and then dropped, again and again, does.
      if (first) return { at: now, reason: "expired" };
    } else if (!shouldReconnect) {
      return this.#end("idle");
    }
    if (this.#failures > maxReconnectAttempts) return this.#end("spent");
    const reason = kind === "refresh" ? "expired" : "reconnect";
    return { at: now + backoffMs(reconnectInterval, this.#failures, random), reason };
  }

  /** How long to wait before one thing is tried again over a connection that lives. */
  retryMs(): number {
    return backoffMs(this.#options.reconnectInterval, 3, this.#options.random);
  }

  #end<N extends Next>(next: N): N {
    this.#failures = 0;
    return next;
  }
}
