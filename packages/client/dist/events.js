import { asCodeError } from "./errors.js";
const lifecycle = new Set([
    "connect",
    "disconnect",
    "reconnect",
    "reconnectfailed",
    "close",
    "error",
    "ping",
    "latency",
    "status",
    "message",
]);
/** Whether a name is an event of the client's life rather than a push. */
export function isLifecycle(name) {
    return lifecycle.has(name);
}
/** Listeners by name. There is one of these for the client's life and one for pushes, so neither can forge the other. */
export class Listeners {
    #entries = new Map();
    /** Adds a listener and answers what removes it. */
    add(name, listener, once = false) {
        const entry = { listener, once };
        this.#entries.set(name, [...(this.#entries.get(name) ?? []), entry]);
        return () => this.#keep(name, (other) => other !== entry);
    }
    /** Removes every entry of a listener. */
    remove(name, listener) {
        this.#keep(name, (entry) => entry.listener !== listener);
    }
    /** Calls the listeners and answers what they threw: none of them stops the others, or the client. */
    call(name, args) {
        const thrown = [];
        const entries = this.#entries.get(name) ?? [];
        if (entries.some((entry) => entry.once))
            this.#keep(name, (entry) => !(entry.once && entries.includes(entry)));
        for (const { listener } of entries) {
            try {
                listener(...args);
            }
            catch (error) {
                thrown.push(error);
            }
        }
        return thrown;
    }
    /** Whether anybody listens to that name. */
    has(name) {
        return this.#entries.has(name);
    }
    #keep(name, keep) {
        const kept = (this.#entries.get(name) ?? []).filter(keep);
        if (kept.length > 0)
            this.#entries.set(name, kept);
        else
            this.#entries.delete(name);
    }
}
/** The two name spaces of a client. */
export class Events {
    #lifecycle = new Listeners();
    #pushes = new Listeners();
    #report;
    /** `report` gets what listeners throw while nobody listens to `error`. */
    constructor(report) {
        this.#report = report;
    }
    /** The name space that a name given to `on` belongs to. */
    of(name) {
        return isLifecycle(name) ? this.#lifecycle : this.#pushes;
    }
    /** The listeners of pushes, also of those that are called like a lifecycle event. */
    get pushes() {
        return this.#pushes;
    }
    /** Tells of the client's life. */
    emit({ event, args }) {
        const thrown = this.#lifecycle.call(event, args);
        if (event === "error")
            for (const error of thrown)
                this.#report(error);
        else
            this.#tell(thrown);
    }
    /** Hands a push to whoever asked for it. */
    push(name, payload) {
        this.#tell(this.#pushes.call(name, [payload]));
    }
    /** Calls what was registered elsewhere. */
    call(callback, args) {
        try {
            callback(...args);
        }
        catch (error) {
            this.#tell([error]);
        }
    }
    #tell(thrown) {
        for (const error of thrown) {
            if (!this.#lifecycle.has("error"))
                this.#report(error);
            else
                this.emit({ event: "error", args: [asCodeError(error, "listener_failed")] });
        }
    }
}
/** Hands an error to the platform, as if nobody had caught it. A listener's fault must not vanish. */
export function reportUncaught(error) {
    const { reportError } = globalThis;
    if (reportError)
        return reportError(error);
    queueMicrotask(() => {
        throw error;
    });
}
