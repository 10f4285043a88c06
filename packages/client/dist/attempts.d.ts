import type { AuthReason } from "./actions.js";
import type { CloseClass } from "./closes.js";
/** When a client tries again. */
export interface AttemptOptions {
    readonly shouldReconnect: boolean;
    readonly reconnectInterval: number;
    readonly maxReconnectAttempts: number;
    readonly random: () => number;
}
/** What follows a loss: an attempt at some time, nothing until the client is needed, or no more by itself. */
export type Next = {
    readonly at: number;
    readonly reason: AuthReason;
} | "idle" | "stop";
/** Counts what went wrong since the last stable connection, and decides what follows. */
export declare class Attempts {
    #private;
    constructor(options: AttemptOptions);
    /** Whether an attempt or a connection failed of late. */
    get failing(): boolean;
    /** The application asks for an attempt: a new credential may be asked for again. */
    begin(): void;
    /** A connection is lost, or an attempt failed; `onlineMs` is 0 for an attempt. */
    lost(kind: CloseClass, onlineMs: number, now: number): Next;
    /** How long to wait before one thing is tried again over a connection that lives. */
    retryMs(): number;
}
