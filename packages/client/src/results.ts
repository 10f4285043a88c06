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
