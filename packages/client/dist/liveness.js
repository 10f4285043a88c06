const never = Number.POSITIVE_INFINITY;
const probeMs = 2_000;
/** Whether the server is still there: it is if anything comes from it in time, and if it answers when it is asked. */
export class Liveness {
    #silenceMs;
    #heardAt = 0;
    #probeEnds = never;
    constructor(silenceMs) {
        this.#silenceMs = silenceMs;
    }
    /** A connection begins, or a frame came. */
    heard(now) {
        this.#heardAt = now;
    }
    /** Asks, unless an answer is already waited for; says whether to send the question. */
    probe(now) {
        if (this.#probeEnds !== never)
            return false;
        this.#probeEnds = now + probeMs;
        return true;
    }
    /** The answer came, or the connection is gone. No other frame ends the wait: what the machine had read before it slept
     * arrives after it woke, also from a connection that is long dead. */
    probed() {
        this.#probeEnds = never;
    }
    /** Why to give the connection up, if so. */
    verdict(now) {
        if (now >= this.#heardAt + this.#silenceMs)
            return "silent";
        return now >= this.#probeEnds ? "no answer" : undefined;
    }
    /** When the verdict may change. */
    dueAt() {
        return Math.min(this.#heardAt + this.#silenceMs, this.#probeEnds);
    }
}
