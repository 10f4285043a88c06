import { type ServerLimits } from "./calls.js";
import { type CodeError } from "./errors.js";
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
export declare function parseHello(value: unknown): Hello;
/** Reads the answer to a join. */
export declare function parseJoined(value: unknown): Joined;
/** Reads the answer to a question for metadata. */
export declare function parseMetadata(value: unknown): unknown;
/** A refusal as a result. */
export declare function refused(error: unknown): {
    success: false;
    error: CodeError;
};
