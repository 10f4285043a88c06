import type { Join } from "./rooms.js";
import type { Op } from "./topic.js";
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
    /** Of what is written again and again: what that is. */
    readonly subject?: string | undefined;
    readonly maxRate?: number | undefined;
    readonly volatile?: boolean | undefined;
}
/** A command on its way, ours or the application's. */
export interface Call {
    /** The application's handle on it; 0 for the session's own. */
    readonly key: number;
    /** What the session does with the answer, before the application hears of it. */
    readonly kind: "user" | "hello" | "rejoin" | "probe" | "topic" | "ended";
    readonly command: string;
    /** The payload as JSON; `undefined` where there is none. */
    readonly body: string | undefined;
    /** The length of its frame. */
    readonly bytes: number;
    readonly timeoutMs: number;
    /** When it is given up; `Infinity` for never. */
    readonly deadline: number;
    /** Of a join: which room it is about. */
    readonly join?: Join;
    /** Of a channel's or record's: what it is to do. */
    readonly op?: Op;
    /** Whether it is dropped where it would have to wait. */
    readonly volatile?: boolean;
    /** Whether it has gone to a socket. */
    sent?: boolean;
}
/** What may wait here to be sent at most: for a connection, or for the server to answer others. */
export interface QueueLimits {
    readonly commands: number;
    readonly bytes: number;
}
/** How much a server takes at once, by its answer to the hello. */
export interface ServerLimits {
    /** How long a message may be. */
    readonly messageBytes: number;
    /** How many commands of a connection run at once. */
    readonly inFlight: number;
    /** How many more may wait. */
    readonly waiting: number;
}
/** What a server takes unless it says otherwise. */
export declare const serverLimits: ServerLimits;
/**
 * The commands that wait to be sent, and those that wait for an answer. No more are sent than the server lets wait: a queue
 * that is drained all at once after a reconnect would be answered `too_many_in_flight`.
 */
export declare class Calls {
    #private;
    constructor(limits: QueueLimits);
    /** Gives the call an id and answers its frame, or `undefined` if there is no id. */
    send(call: Call): string | undefined;
    /** The call that an answer belongs to; `undefined` if it ended before. Its id is free from now on. */
    answered(id: unknown): Call | undefined;
    /** Keeps the call until it can be sent, or answers it where there is no room. */
    enqueue(call: Call): Call | undefined;
    /** Whether a call of that length may be sent now, before whatever is queued. */
    fits(bytes: number, server: ServerLimits): boolean;
    /** Whether a call has to wait behind others. */
    get queued(): boolean;
    /** Takes the next of the queue that may be sent. */
    next(server: ServerLimits): Call | undefined;
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
export declare function ownCall(kind: "hello" | "rejoin" | "probe" | "topic", command: string, body: string | undefined, timeoutMs: number, now?: number, room?: string): Call;
