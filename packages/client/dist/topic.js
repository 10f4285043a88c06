import { CodeError } from "./errors.js";
/** How long a subscription waits for its answer where nothing else is said. */
export const topicMs = 30_000;
// More can't come before an answer, unless the server breaks its word; then the hole is seen by the offsets.
const heldMax = 1_000;
/**
 * One channel or record: who listens, and how it stands on this connection. What the application wishes is in `listeners`; `next`
 * tells the command that brings the server nearer to that. One is under way at a time, so the last wish wins (trap w).
 */
export class Topic {
    name;
    listeners = [];
    waits = [];
    /** The command under way. */
    op;
    /** Whether this connection is subscribed. What nobody can know counts as yes. */
    on = false;
    /** Whether to subscribe again, although it is. */
    stale = false;
    /** Whether something may have been missed that no answer has told of yet. */
    interrupted = false;
    surroundings;
    /** Of the last entry handed out. */
    position;
    /** What the server was asked for, beside the name. */
    #asked = "";
    /** What came before the answer to a subscription (traps d, bb). */
    #held = [];
    /** Who waits for the end of the subscription. */
    #leaving = [];
    constructor(name, surroundings) {
        this.name = name;
        this.surroundings = surroundings;
    }
    /** Registers a callback. The same one twice is one (trap k). */
    add(key, callback, options, now) {
        let listener = this.listeners.find((other) => other.callback === callback);
        if (listener)
            listener.options = options;
        else {
            listener = { callback, options, served: false, ended: false };
            this.listeners.push(listener);
        }
        const { timeout: timeoutMs = topicMs } = options;
        const wait = { key, topic: this, listener, timeoutMs, deadline: now + timeoutMs, done: false };
        this.waits.push(wait);
        this.left();
        return wait;
    }
    /** Removes callbacks. Who still waits for one of them learns that it was removed. */
    remove(matches) {
        const removed = this.listeners.filter(matches);
        for (const listener of removed)
            listener.ended = true;
        this.listeners = this.listeners.filter((listener) => !listener.ended);
        const error = new CodeError("The subscription was ended meanwhile", "cancelled", "AbortError");
        this.refuse(error, ({ listener }) => listener.ended);
        return removed.length > 0;
    }
    /** Ends those waits, and the callbacks that were not served before. */
    refuse(error, matches = () => true) {
        for (const wait of this.#take(matches)) {
            const { key, listener } = wait;
            this.surroundings.emit({ do: "reject", key, error });
            listener.ended ||= !listener.served && this.waits.every((other) => other.listener !== listener);
        }
        this.listeners = this.listeners.filter(({ ended }) => !ended);
    }
    /** Somebody waits for the end of the subscription. */
    leave(key) {
        this.#leaving.push(key);
    }
    /** It has come, or is no longer wished for. */
    left() {
        for (const key of this.#leaving.splice(0))
            this.surroundings.emit({ do: "resolve", key, value: true });
    }
    /** The connection is gone. */
    lost() {
        this.on = false;
        this.interrupted = true;
        this.op = undefined;
        this.#held = [];
        this.left();
    }
    /** What to send now, if anything. Only for a topic without a command under way. */
    next() {
        if (this.listeners.length === 0)
            return this.on ? this.request("unsubscribe", {}) : undefined;
        const wishes = this.wishes();
        const asked = JSON.stringify(wishes);
        if (this.on && !this.stale && asked === this.#asked)
            return this.also();
        this.stale = false;
        this.#asked = asked;
        const resumes = this.listeners.some(({ served }) => served);
        const { body, limit } = this.from(resumes);
        return this.request("subscribe", { ...wishes, ...body }, limit, resumes);
    }
    /** The command under way was answered. */
    answered(op, answer) {
        const life = this.position?.epoch;
        this.op = undefined;
        if (op.kind === "unsubscribe") {
            this.on = false;
            this.left();
        }
        else
            this.subscribed(op, answer);
        this.#release(life);
    }
    /** The command under way failed. `isKnown` says whether the server told so. */
    failed(op, error, isKnown) {
        const isOurs = this.waits.length === 0;
        this.op = undefined;
        if (op.kind === "unsubscribe")
            this.on = error.retryable;
        else
            this.refuse(error);
        if (op.kind === "subscribe") {
            this.on ||= !isKnown;
            this.stale = true;
            // It may be about what those wished for who are gone now. The others are asked for once more.
            if (isOurs && !error.retryable)
                this.remove(() => true);
        }
        this.left();
        this.#release();
        this.#held = [];
    }
    /**
     * The server no longer lets this client listen; answers whether callbacks were given up for that. Where somebody waits for a
     * subscription, its answer decides.
     */
    ended() {
        if (!this.on || this.op?.kind === "unsubscribe")
            return false;
        this.on = false;
        // From here on nothing comes until it is subscribed once more.
        this.interrupted = true;
        if (this.op?.kind === "subscribe" || this.waits.length > 0)
            return false;
        return this.remove(() => true);
    }
    /** The server pushed. */
    push(push) {
        if (this.op?.kind === "subscribe") {
            if (this.#held.length < heldMax)
                this.#held.push(push);
        }
        else if (this.on && !this.interrupted && this.listeners.length > 0)
            this.handle(push);
    }
    /** Where the callbacks of one topic wish for different things, the one that wishes for the most decides. */
    wishes() {
        const all = this.listeners.map(({ options }) => options);
        const rates = all.map(({ maxRate }) => maxRate ?? Number.POSITIVE_INFINITY);
        const maxRate = Math.max(...rates);
        if (Number.isFinite(maxRate))
            return { maxRate };
        return all.every((options) => options.latest || options.maxRate) ? { latest: true } : {};
    }
    /** Whether entries may be left out on purpose. */
    get skips() {
        return this.#asked.includes("latest") || this.#asked.includes("maxRate");
    }
    request(kind, more, limit = 0, resumes = false) {
        const command = kind === "read" ? "mesh/get-channel-history" : `mesh/${kind}-${this.kind}`;
        return { topic: this, kind, command, body: { ...this.about, ...more }, limit, resumes };
    }
    /** Somebody has what he waited for, and is told of all that follows. */
    serve(wait, value) {
        wait.listener.served = true;
        this.#take((other) => other === wait);
        this.surroundings.emit({ do: "resolve", key: wait.key, value });
    }
    /** Has a callback called, unless it is ended before its turn comes. */
    call(listener, callback, ...args) {
        this.surroundings.emit({ do: "call", listener, callback, args });
    }
    #take(matches) {
        const taken = this.waits.filter(matches);
        for (const wait of taken)
            wait.done = true;
        this.waits = this.waits.filter(({ done }) => !done);
        return taken;
    }
    /** Handles what was held, except for what is left of a life that the answer says is over. */
    #release(life) {
        const isOver = life !== undefined && life !== this.position?.epoch;
        for (const push of this.on ? this.#held.splice(0) : [])
            if (!isOver || push.epoch !== life)
                this.push(push);
    }
}
