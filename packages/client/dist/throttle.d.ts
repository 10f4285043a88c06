import type { Call, QueueLimits } from "./calls.js";
/** How often one thing is written at most. */
export interface Rate {
    /** What is written: a channel, a record, a command. */
    readonly subject: string;
    /** How often a second. */
    readonly maxRate: number;
}
/**
 * The commands that are sent at most so often. Of each subject one waits, the newest; those that gave way to it end as it does.
 * The bounds are those of the queue: so many wait, so many gave way, so many subjects are known.
 */
export declare class Throttle {
    #private;
    constructor(limits: QueueLimits);
    /**
     * Lets a call wait for its turn, if only for a moment. Answers which one there is no room for: this one, or the oldest that gave
     * way.
     */
    add(call: Call, { subject, maxRate }: Rate): Call | undefined;
    /** Takes the next call whose turn it is, if it may be sent now. */
    next(now: number, may: (call: Call) => boolean): Call | undefined;
    /** Takes the calls that gave way to that one. */
    follow(key: number): Call[];
    /** Takes the calls that match, of those that wait and of those that gave way. */
    remove(matches: (call: Call) => boolean): Call[];
    /** When there is something to do. What may be sent, but has no room, is no matter of time. */
    dueAt(isOnline: boolean): number;
}
