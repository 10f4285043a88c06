import { type ServerLimits, serverLimits } from "./calls.js";
import type { Gap } from "./channel.js";
import { asCodeError, type CodeError } from "./errors.js";
import { isObject } from "./wire.js";

/** What joining a room resolves to. */
export interface Joined {
  /** Whether this connection is in the room. */
  readonly success: boolean;
  /** Who is in the room, in order of joining; the server leaves some of a large crowd out. */
  readonly present: readonly string[];
  /** How many are in the room. */
  readonly count: number;
  /** Whether `present` leaves some out. */
  readonly truncated: boolean;
  /** Why not, if not. */
  readonly error?: CodeError;
}

/** What leaving a room resolves to. */
export interface Left {
  readonly success: boolean;
  /** Why not, if not. */
  readonly error?: CodeError;
}

/** What subscribing to a channel resolves to. */
export interface ChannelSubscribed {
  /** Whether the callback is called from now on. */
  readonly success: boolean;
  /** The history asked for, newest first. The callback has had it already, oldest first. */
  readonly history: readonly unknown[];
  /** Why not, if not. */
  readonly error?: CodeError;
}

/** What publishing to a channel resolves to. */
export interface Published {
  readonly success: boolean;
  /** The message's number in the channel, if that has a history. */
  readonly offset?: number;
  /** The life of the channel that the number belongs to. */
  readonly epoch?: string;
  /** Why not, if not. */
  readonly error?: CodeError;
}

/** Messages of the past. */
export interface ChannelHistory {
  readonly success: boolean;
  /** Oldest first. */
  readonly messages: readonly HistoryMessage[];
  /** Whether there are more in the direction asked for. */
  readonly truncated: boolean;
  /** The life of the channel that the numbers belong to; none where there is no history. */
  readonly epoch?: string;
  /** The numbers of what is kept. */
  readonly oldest?: number;
  readonly newest?: number;
  /** What came after the position asked for is lost. */
  readonly gap?: Gap;
  /** Why not, if not. */
  readonly error?: CodeError;
}

/** One message of the past. */
export interface HistoryMessage {
  readonly message: unknown;
  readonly offset: number;
  readonly tag: string;
  readonly txn?: string;
}

/** What subscribing to a record resolves to. */
export interface RecordSubscribed<T = unknown> {
  /** Whether the callback is called from now on. */
  readonly success: boolean;
  /** The value, null if there is none. The callback has had it already. */
  readonly record: T | null;
  /** 0 for a record that was never written. */
  readonly version: number;
  /** Why not, if not. */
  readonly error?: CodeError;
}

/** What the answer to a hello says. */
export interface Hello {
  readonly connectionId: string | undefined;
  readonly serverTime: number | undefined;
  readonly limits: ServerLimits;
}

/** Reads the answer to a hello. What it lacks is as if the server had the usual limits. */
export function parseHello(value: unknown): Hello {
  const { connectionId, serverTime, limits } = isObject(value) ? value : {};
  const stated = isObject(limits) ? limits : {};
  const limit = (name: keyof ServerLimits, min: number): number => {
    const number = stated[name];
    return typeof number === "number" && number >= min ? number : serverLimits[name];
  };
  return {
    connectionId: typeof connectionId === "string" ? connectionId : undefined,
    serverTime: typeof serverTime === "number" ? serverTime : undefined,
    limits: {
      messageBytes: limit("messageBytes", 1),
      inFlight: limit("inFlight", 1),
      waiting: limit("waiting", 0),
    },
  };
}

/** Reads the answer to a join. */
export function parseJoined(value: unknown): Joined {
  const answer = isObject(value) ? value : {};
  const present = (Array.isArray(answer.present) ? answer.present : []).filter(
    (id) => typeof id === "string",
  );
  const count = typeof answer.count === "number" ? answer.count : present.length;
  return { success: answer.success === true, present, count, truncated: answer.truncated === true };
}

/** Reads the answer to a question for history. */
export function parseHistory(value: unknown): ChannelHistory {
  const answer = isObject(value) ? value : {};
  const messages = Array.isArray(answer.messages) ? answer.messages : [];
  return { ...answer, success: true, messages, truncated: answer.truncated === true };
}

/** Reads the answer to a question for metadata. */
export function parseMetadata(value: unknown): unknown {
  return isObject(value) ? (value.metadata ?? null) : null;
}

/** A refusal as a result. What is no error of ours is a reason that the application gave to `abort`. */
export function refused(error: unknown): { success: false; error: CodeError } {
  return { success: false, error: asCodeError(error, "cancelled") };
}
