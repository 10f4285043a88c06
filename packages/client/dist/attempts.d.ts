import type { AuthReason } from "./actions.js";
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
export type Next = {
    readonly at: number;
    readonly reason: AuthReason;
} | "idle" | "spent" | "stop";
/** Counts what went wrong since the last stable connection, and decides what follows. */
export declare class Attempts {
    #private;
    constructor(options: AttemptOptions);
    /** The application asks for an attempt: a new credential may be asked for again. */
    begin(): void;
    /** The machine woke up: what failed before that says nothing about now. */
    reset(): void;
    /** A connection is lost, or an attempt failed; `onlineMs` is `undefined` for an attempt. */
    lost(kind: CloseClass, onlineMs: number | undefined, now: number): Next;
    /** How long to wait before one thing is tried again over a connection that lives. */
    retryMs(): number;
}
