import type { AuthReason } from "./actions.js";
import type { QueueLimits } from "./calls.js";
import { type Clock, systemClock } from "./clock.js";
import type { SessionOptions } from "./session.js";
import { type OpenSocket, openWebSocket } from "./socket.js";
import { type WatchWake, watchPage } from "./wake.js";

/** What an authenticator is told. */
export interface AuthContext {
  /** Why a credential is needed. */
  readonly reason: AuthReason;
}

/** The world around a client: everything it touches, so that tests and other platforms can replace it. */
export interface Environment {
  readonly clock?: Clock;
  readonly openSocket?: OpenSocket;
  readonly watchWake?: WatchWake;
  /** A number from 0 up to 1, for the jitter. */
  readonly random?: () => number;
}

/** How a client behaves. */
export interface MeshClientOptions {
  /** How long the server may be silent, in milliseconds, before a ping counts as missed. Default 30,000. */
  readonly pingTimeout?: number;
  /** How many pings may be missed. Default 1. */
  readonly maxMissedPings?: number;
  /** Whether a lost connection is made again. Default true. */
  readonly shouldReconnect?: boolean;
  /** The first bound of the wait before an attempt, in milliseconds; it doubles up to 30 s. Default 2,000. */
  readonly reconnectInterval?: number;
  /** How many attempts in a row may fail. Default `Infinity`. */
  readonly maxReconnectAttempts?: number;
  /** Fetches the credential, a JSON value; asked before every dial. */
  readonly auth?: (context: AuthContext) => unknown;
  /** What may wait for a connection. Default 1,000 commands and 256 KiB, which the server takes at once. */
  readonly queue?: Partial<QueueLimits>;
  /** The world around the client. */
  readonly environment?: Environment;
}

/** How one command is sent. */
export interface CommandOptions {
  /** Milliseconds until it rejects with `ETIMEOUT`. Default 30,000; `Infinity` for never. */
  readonly timeout?: number;
  /** Ends the wait for the answer. The command may take effect nevertheless. */
  readonly signal?: AbortSignal;
  /** What happens without a connection: it waits for one, or rejects with `offline` at once. Default `"queue"`. */
  readonly offline?: "queue" | "fail";
}

/** The environment with nothing left open. Nothing of the platform is touched before a client is made. */
export function environmentOf(options: MeshClientOptions): Required<Environment> {
  return {
    clock: systemClock,
    openSocket: openWebSocket,
    watchWake: watchPage,
    random: Math.random,
    ...options.environment,
  };
}

/** What the session needs of the options. */
export function sessionOptions(options: MeshClientOptions, random: () => number): SessionOptions {
  const { pingTimeout = 30_000, maxMissedPings = 1, shouldReconnect = true } = options;
  const { reconnectInterval = 2_000, maxReconnectAttempts = Number.POSITIVE_INFINITY } = options;
  const queue = { commands: 1_000, bytes: 262_144, ...options.queue };
  const silenceMs = pingTimeout * (maxMissedPings + 1);
  const attempts = { shouldReconnect, reconnectInterval, maxReconnectAttempts, random };
  return { silenceMs, queue, attempts };
}
