import { CodeError } from "./errors.js";
import type { Join } from "./rooms.js";
/** A command as the application gives it. */
export interface Request {
    readonly key: number;
    readonly command: string;
    readonly body: string | undefined;
    readonly bytes: number;
    readonly timeoutMs: number;
    readonly offline: "queue" | "fail";
    readonly room?: {
        readonly name: string;
        readonly join: boolean;
    };
}
/** A command on its way, ours or the application's. */
export interface Call {
    /** The application's handle on it; 0 for the session's own. */
    readonly key: number;
    /** What the session does with the answer, before the application hears of it. */
    readonly kind: "user" | "hello" | "rejoin" | "probe";
    readonly command: string;
    /** The payload as JSON; `undefined` where there is none. */
    readonly body: string | undefined;
    readonly bytes: number;
    readonly timeoutMs: number;
    /** When it is given up; `Infinity` for never. */
    readonly deadline: number;
    /** Of a join: which room it is about. */
    readonly join?: Join;
}
/** What the queue for times without a connection holds at most. */
export interface QueueLimits {
    readonly commands: number;
    readonly bytes: number;
}
/** The commands that wait for a connection, and those that wait for an answer. */
export declare class Calls {
    #private;
    constructor(limits: QueueLimits);
    /** Gives the call an id and answers its frame, or `undefined` if there is no id. */
    send(call: Call): string | undefined;
    /** The call that an answer belongs to; `undefined` if it ended before. Its id is free from now on. */
    answered(id: unknown): Call | undefined;
    /** Keeps the call until there is a connection, or answers why not. */
    enqueue(call: Call): CodeError | undefined;
    /** Takes all that was queued, in order. */
    drain(): Call[];
    /** The connection is gone: takes all that was sent, and begins again with all ids free. */
    reset(): Call[];
    /** Takes the calls that match. The ids of those that were sent stay taken until their answers come. */
    remove(matches: (call: Call) => boolean): Call[];
    /** Takes the calls whose time is up. */
    expired(now: number): Call[];
    /** When `expired` has something to do at the earliest. */
    dueAt(): number;
}
/** A command of the session's own, of which the application never hears. */
export declare function ownCall(kind: "hello" | "rejoin" | "probe", command: string, body: string | undefined, timeoutMs: number, now?: number, room?: string): Call;
