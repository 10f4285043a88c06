import { type ServerLimits, serverLimits } from "./calls.js";
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

/** Reads the answer to a question for metadata. */
export function parseMetadata(value: unknown): unknown {
  return isObject(value) ? (value.metadata ?? null) : null;
}

/** A refusal as a result. */
export function refused(error: unknown): { success: false; error: CodeError } {
  return { success: false, error: asCodeError(error, "internal") };
}
