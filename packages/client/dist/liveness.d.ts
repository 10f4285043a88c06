/** Whether the server is still there: it is if anything comes from it in time, and if it answers when it is asked. */
export declare class Liveness {
    #private;
    constructor(silenceMs: number);
    /** A connection begins, or a frame came. */
    heard(now: number): void;
    /** Asks, unless an answer is already waited for; says whether to send the question. */
    probe(now: number): boolean;
    /** The answer came, or the connection is gone. No other frame ends the wait: what the machine had read before it slept
     * arrives after it woke, also from a connection that is long dead. */
    probed(): void;
    /** Why to give the connection up, if so. */
    verdict(now: number): "silent" | "no answer" | undefined;
    /** When the verdict may change. */
    dueAt(): number;
}
