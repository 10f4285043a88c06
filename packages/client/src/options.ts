import type { AuthReason } from "./actions.js";
import type { QueueLimits } from "./calls.js";
import { type Clock, systemClock } from "./clock.js";
import { reportUncaught } from "./events.js";
import type { Position } from "./positions.js";
import type { SessionOptions } from "./session.js";
import { type OpenSocket, openWebSocket } from "./socket.js";
import { type WatchWake, watchPage } from "./wake.js";

/** What `auth` is told. */
export interface AuthContext {
  /** Why a credential is needed; `expired` means that the last one is no longer good. */
  readonly reason: AuthReason;
}

/** The world around a client: everything it touches, so that tests and other platforms can replace it. */
export interface Environment {
  /** Default: `performance.now` and `setTimeout`. */
  readonly clock?: Clock;
  /** Default: the platform's WebSocket, or that of the package `ws`. */
  readonly openSocket?: OpenSocket;
  /**
   * Default: the page, if there is one. Without (`() => () => {}`) a client also makes attempts while its page is hidden. React
   * Native tells of its AppState here.
   */
  readonly watchWake?: WatchWake;
  /** Takes what listeners throw while nobody listens to `error`. Default: as if nobody had caught it. */
  readonly report?: (error: unknown) => void;
  /** A number from 0 up to 1, for the jitter. */
  readonly random?: () => number;
}

/** How a client behaves. */
export interface MeshClientOptions {
  /** How long the server may be silent, in milliseconds, before a ping counts as missed; any frame counts. Default 30,000. */
  readonly pingTimeout?: number;
  /** How many pings may be missed; with one more the connection is dropped and made again. Default 1. */
  readonly maxMissedPings?: number;
  /** Whether a lost connection is made again. Default true. */
  readonly shouldReconnect?: boolean;
  /** The first bound of the wait before an attempt, in milliseconds; it doubles up to 30 s. Default 2,000. */
  readonly reconnectInterval?: number;
  /** How many attempts in a row may fail. A connection that lasts 10 s begins a new row. Default `Infinity`. */
  readonly maxReconnectAttempts?: number;
  /**
   * Fetches the credential, a JSON value or a promise of one; awaited before every dial, for 30 s at most. What it throws
   * fails the attempt; a {@link CodeError} that isn't retryable ends all attempts.
   */
  readonly auth?: (context: AuthContext) => unknown;
  /**
   * How much may wait to be sent. More is rejected with `queue_full`. Default 1,000 commands and 1 MiB. As many subscriptions
   * may wait for their answer.
   */
  readonly queue?: Partial<QueueLimits>;
  /** The world around the client. */
  readonly environment?: Environment;
}

/** How long one answer is waited for. */
export interface WaitOptions {
  /** Milliseconds until it fails with `ETIMEOUT`. Default 30,000; `Infinity` for never. */
  readonly timeout?: number | undefined;
  /**
   * Ends the wait for the answer: it fails with the reason given to `abort`, or with `cancelled`. If it was sent, a command may
   * take effect nevertheless; a subscription is ended.
   */
  readonly signal?: AbortSignal | undefined;
}

/** How one call is sent. */
export interface CallOptions extends WaitOptions {
  /** What happens without a connection: it waits for one, or rejects with `disconnected` at once. Default `"queue"`. */
  readonly offline?: "queue" | "fail";
  /**
   * Only worth something now: fails with `dropped` at once where it would have to wait, be it for a connection, for the server
   * to answer others, or behind more than 64 KiB that the socket has not sent yet. Default false.
   */
  readonly volatile?: boolean | undefined;
}

/** How one command is sent. */
export interface CommandOptions extends CallOptions {
  /**
   * At most so often a second, 0.01 to 1,000, of the same command, channel or record. Meanwhile the newest takes the place of the
   * one that waits, also without a connection, and the last one is always sent; those that gave way end as it does. Of those
   * the newest 1,000 wait for that (`queue.commands`); an older one fails with `queue_full`. What is sent without
   * `maxRate` may overtake it. Of records for whole values alone: with another `strategy`, or `ifVersion`, one write does not say
   * what another did, and it fails with `bad_payload`.
   */
  readonly maxRate?: number | undefined;
}

/** How a record is changed. */
export interface ChangeOptions extends CallOptions {
  /** Only at that version; 0 for a record that was never written. */
  readonly ifVersion?: number | undefined;
}

/** How a record is written. */
export interface WriteOptions extends ChangeOptions, CommandOptions {
  /**
   * What becomes of what is there: `replace`, the default; `merge`, by which the members of an object replace those of the same
   * names; `deepMerge`, by which objects inside are merged, too.
   */
  readonly strategy?: "replace" | "merge" | "deepMerge" | undefined;
}

/** Which messages of the past to read. */
export interface HistoryOptions extends CallOptions {
  /** How many at most. Default 50. */
  readonly limit?: number | undefined;
  /** Those before that offset. */
  readonly before?: number | undefined;
  /** Those after a position, or after an offset of whatever life. */
  readonly after?: Position | number | undefined;
}

/** The environment with nothing left open. Nothing of the platform is touched before a client is made. */
export function environmentOf(options: MeshClientOptions): Required<Environment> {
  return {
    clock: systemClock,
    openSocket: openWebSocket,
    watchWake: watchPage,
    random: Math.random,
    report: reportUncaught,
    ...options.environment,
  };
}

/** What the session needs of the options. */
export function sessionOptions(
  options: MeshClientOptions,
  random: () => number,
): Omit<SessionOptions, "txns"> {
  const { pingTimeout = 30_000, maxMissedPings = 1, shouldReconnect = true } = options;
  const { reconnectInterval = 2_000, maxReconnectAttempts = Number.POSITIVE_INFINITY } = options;
  const queue = { commands: 1_000, bytes: 1_048_576, ...options.queue };
  const silenceMs = pingTimeout * (maxMissedPings + 1);
  const attempts = { shouldReconnect, reconnectInterval, maxReconnectAttempts, random };
  return { silenceMs, queue, attempts };
}
