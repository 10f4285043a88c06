import { backoffMs } from "./backoff.js";
// A connection that lived for less doesn't make the next wait shorter: a server that takes every connection and drops
// it at once would otherwise be dialled without end (trap u).
const stableMs = 10_000;
/** Counts what went wrong since the last stable connection, and decides what follows. */
export class Attempts {
    #options;
    #failures = 0;
    /** Whether a new credential was already asked for. */
    #refreshed = false;
    constructor(options) {
        this.#options = options;
    }
    /** Whether an attempt or a connection failed of late. */
    get failing() {
        return this.#failures > 0;
    }
    /** The application asks for an attempt: a new credential may be asked for again. */
    begin() {
        this.#refreshed = false;
    }
    /** A connection is lost, or an attempt failed; `onlineMs` is 0 for an attempt. */
    lost(kind, onlineMs, now) {
        const { shouldReconnect, maxReconnectAttempts, reconnectInterval, random } = this.#options;
        if (onlineMs >= stableMs) {
            this.#failures = 0;
            this.#refreshed = false;
        }
        if (kind === "give_up" || (kind === "refresh" && this.#refreshed))
            return this.#stop();
        if (kind === "refresh" && (shouldReconnect || onlineMs === 0)) {
            this.#refreshed = true;
            return { at: now, reason: "expired" };
        }
        this.#failures += 1;
        if (!shouldReconnect)
            return "idle";
        if (this.#failures > maxReconnectAttempts)
            return this.#stop();
        return { at: now + backoffMs(reconnectInterval, this.#failures, random), reason: "reconnect" };
    }
    /** How long to wait before one thing is tried again over a connection that lives. */
    retryMs() {
        return backoffMs(this.#options.reconnectInterval, 3, this.#options.random);
    }
    #stop() {
        this.#failures = 0;
        return "stop";
    }
}
