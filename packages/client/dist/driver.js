import { Alarm } from "./clock.js";
import { asCodeError, CodeError } from "./errors.js";
import { environmentOf, sessionOptions, } from "./options.js";
import { Session } from "./session.js";
import { Txns } from "./txns.js";
import { byteLength, writeCommand } from "./wire.js";
/** How long a command waits for its answer where nothing else is said. */
export const timeoutMsDefault = 30_000;
// The longest id, since a command has none yet when it is measured.
const idLongest = 65_535;
/** Carries the session's wishes out, with a socket, a clock and promises, and tells it what comes of them. */
export class Driver {
    /** The marks of this client's writes. */
    txns;
    #url;
    #auth;
    #events;
    #environment;
    #session;
    #alarm;
    #calls = new Map();
    #connecting = [];
    #socket;
    #hungUp;
    #unwatch;
    #closed = false;
    #key = 0;
    #actions = [];
    #running = false;
    constructor(url, options, events) {
        this.#url = url;
        this.#auth = options.auth;
        this.#events = events;
        this.#environment = environmentOf(options);
        const { random } = this.#environment;
        this.txns = new Txns(random);
        this.#session = new Session({ ...sessionOptions(options, random), txns: this.txns });
        this.#alarm = new Alarm(this.#environment.clock, () => this.#tell((session, now) => session.time(now)));
    }
    get status() {
        return this.#session.status;
    }
    get connectionId() {
        return this.#session.connectionId;
    }
    get reason() {
        return this.#session.reason;
    }
    get retryMs() {
        return this.#session.retryMs(this.#environment.clock.now());
    }
    get serverTime() {
        return this.#session.serverTime(this.#environment.clock.now());
    }
    connect() {
        return new Promise((resolve, reject) => {
            this.#connecting.push({ resolve: () => resolve(), reject });
            this.#tell((session, now) => session.connect(now));
        });
    }
    close() {
        this.#closed = true;
        this.#unwatch?.();
        this.#unwatch = undefined;
        this.#tell((session) => session.close());
        // When a listener calls this, the socket is hung up only after the listener has returned.
        return Promise.resolve().then(() => this.#hungUp);
    }
    async command(command, payload, options, about = {}) {
        const { timeout: timeoutMs = timeoutMsDefault, signal, offline = "queue", volatile, maxRate } = options;
        const body = encode(payload);
        const bytes = byteLength(writeCommand(idLongest, command, body));
        return this.#ask(signal, (key) => {
            const request = { ...about, key, command, body, bytes, timeoutMs, offline, volatile, maxRate };
            this.#tell((session, now) => session.call(request, now));
        });
    }
    /** Subscribes; resolves to the answer, with what belongs to it. */
    subscribe(wish) {
        return this.#ask(wish.options?.signal, (key) => this.#tell((session, now) => session.subscribe({ ...wish, key }, now)));
    }
    /** Ends subscriptions; resolves to whether there was one. */
    unsubscribe(wish) {
        return this.#ask(undefined, (key) => this.#tell((session, now) => session.unsubscribe({ ...wish, key }, now)));
    }
    /** Has the session told of something, and waits for what comes of it. */
    #ask(signal, tell) {
        return new Promise((resolve, reject) => {
            if (signal?.aborted)
                return reject(cancelled(signal, false));
            this.#key += 1;
            const key = this.#key;
            const abort = () => this.#tell((session, now) => session.abort(key, (sent) => cancelled(signal, sent), now));
            const done = () => signal?.removeEventListener("abort", abort);
            signal?.addEventListener("abort", abort);
            this.#calls.set(key, {
                resolve: (value) => {
                    done();
                    resolve(value);
                },
                reject: (error) => {
                    done();
                    reject(error);
                },
            });
            tell(key);
        });
    }
    /** Tells the session something and does what it wants done; what comes meanwhile waits for its turn. */
    #tell(input) {
        // What was asked for meanwhile the session counts itself.
        if (!this.#running)
            this.#session.buffered(this.#socket?.bufferedAmount ?? 0);
        input(this.#session, this.#environment.clock.now());
        this.#actions.push(...this.#session.take());
        if (this.#running)
            return;
        this.#running = true;
        try {
            for (let action = this.#actions.shift(); action; action = this.#actions.shift())
                this.#run(action);
        }
        finally {
            // Only an environment that isn't ours can throw here. The client goes on with the rest at its next turn.
            this.#running = false;
        }
        this.#alarm.set(this.#session.dueAt());
    }
    #run(action) {
        switch (action.do) {
            case "auth":
                return this.#authenticate(action.generation, action.reason);
            case "dial":
                this.#socket = this.#dial(action.generation);
                return;
            case "send":
                return this.#socket?.send(action.text);
            case "hangup":
                if (this.#socket)
                    this.#hungUp = this.#socket.hangup(action.code, action.dead);
                return;
            case "resolve":
                return this.#waiter(action.key)?.resolve(action.value);
            case "reject":
                return this.#waiter(action.key)?.reject(action.error);
            case "connected":
                for (const waiter of this.#connectors())
                    waiter.resolve(undefined);
                return;
            case "unconnected":
                for (const waiter of this.#connectors())
                    waiter.reject(action.error);
                return;
            case "emit":
                return this.#events.emit(action);
            case "push":
                return this.#events.push(action.name, action.payload);
            case "call":
                // An earlier callback may have ended this one.
                if (!action.listener.ended)
                    this.#events.call(action.callback, action.args);
                return;
        }
    }
    #authenticate(generation, reason) {
        // A listener may have closed the client since the session asked for this.
        if (this.#closed)
            return;
        this.#unwatch ??= this.#environment.watchWake((what) => this.#tell((session, now) => session.wake(what, now)));
        const auth = this.#auth;
        if (!auth)
            return this.#tell((session, now) => session.credential(generation, undefined, now));
        const credential = new Promise((resolve) => resolve(auth({ reason }))).then(encode);
        credential.then((body) => this.#tell((session, now) => session.credential(generation, body, now)), (thrown) => {
            const error = asCodeError(thrown, "auth_failed", true);
            this.#tell((session, now) => session.credentialFailed(generation, error, now));
        });
    }
    #dial(generation) {
        return this.#environment.openSocket(this.#url, "mesh.v1", {
            opened: () => this.#tell((session, now) => session.opened(generation, now)),
            frame: (text) => this.#tell((session, now) => session.frame(generation, text, now)),
            closed: (code, reason) => this.#tell((session, now) => session.closed(generation, code, reason, now)),
            undialable: (why) => this.#tell((session) => session.undialable(generation, why)),
        });
    }
    #waiter(key) {
        const waiter = this.#calls.get(key);
        this.#calls.delete(key);
        return waiter;
    }
    #connectors() {
        const waiters = this.#connecting;
        this.#connecting = [];
        return waiters;
    }
}
function encode(payload) {
    try {
        return JSON.stringify(payload);
    }
    catch (error) {
        throw new CodeError(`The payload is no JSON value: ${String(error)}`, "bad_payload");
    }
}
/** The reason that `abort` was given, if it was given one, so that who aborts finds his own error again. */
function cancelled(signal, sent) {
    const reason = signal?.reason;
    const given = reason !== undefined && !(reason instanceof DOMException && reason.name === "AbortError");
    return given ? reason : new CodeError("The call was cancelled", "cancelled", "AbortError", { sent });
}
