import { Alarm } from "./clock.js";
import { asCodeError, CodeError } from "./errors.js";
import { Events } from "./events.js";
import { environmentOf, sessionOptions } from "./options.js";
import { parseJoined, parseMetadata, refused } from "./results.js";
import { Session } from "./session.js";
import { byteLength } from "./wire.js";
const timeoutMsDefault = 30_000;
const envelopeBytes = 64;
/** A connection to a Mesh server that comes back by itself. */
export class MeshClient {
    #url;
    #auth;
    #clock;
    #openSocket;
    #session;
    #alarm;
    #events = new Events();
    #calls = new Map();
    #watchWake;
    #unwatch;
    #connecting = [];
    #socket;
    #key = 0;
    #actions = [];
    #running = false;
    /** Makes a client. It does nothing until `connect` or the first command. */
    constructor(url, options = {}) {
        const { clock, openSocket, watchWake, random } = environmentOf(options);
        this.#url = url;
        this.#auth = options.auth;
        this.#clock = clock;
        this.#openSocket = openSocket;
        this.#session = new Session(sessionOptions(options, random));
        this.#alarm = new Alarm(clock, () => this.#tell((session, now) => session.time(now)));
        this.#watchWake = watchWake;
    }
    /** Whether the client is online, connecting, reconnecting or offline. */
    get status() {
        return this.#session.status;
    }
    /** The id of the connection; `undefined` unless online. Each connection has a new one. */
    get connectionId() {
        return this.#session.connectionId;
    }
    /**
     * Connects, or joins the attempt under way. Resolves once the server has answered the hello, rejects when the attempt fails;
     * the client goes on trying by itself, unless it may not or the server told it to stop.
     */
    connect() {
        return new Promise((resolve, reject) => {
            this.#connecting.push({ resolve: () => resolve(), reject });
            this.#tell((session, now) => session.connect(now));
        });
    }
    /** Closes the connection for good: nothing reopens it, and nothing is left behind. */
    close() {
        this.#unwatch?.();
        this.#unwatch = undefined;
        this.#tell((session) => session.close());
    }
    /**
     * Runs a command and resolves to its answer. Connects first where there is no connection.
     *
     * @param expiresIn - how long to wait in milliseconds, or more about it
     * @throws {@link CodeError} with the server's code, or `ETIMEOUT`, `disconnected`, `queue_full`, `offline`, `aborted`,
     * `closed`, `too_large`, `bad_payload`
     */
    command(name, payload, expiresIn = timeoutMsDefault) {
        return this.#command(name, payload, typeof expiresIn === "number" ? { timeout: expiresIn } : expiresIn);
    }
    /** Asks the server for nothing, to see whether it is there. */
    noop() {
        return this.command("mesh/noop");
    }
    /** Joins a room, and joins it again after each reconnect. */
    joinRoom(room) {
        const joined = this.#command("mesh/join-room", { roomName: room }, {}, { name: room, join: true });
        return joined.then(parseJoined, (error) => ({
            ...refused(error),
            present: [],
            count: 0,
            truncated: false,
        }));
    }
    /** Leaves a room. */
    leaveRoom(room) {
        const left = this.#command("mesh/leave-room", { roomName: room }, {}, { name: room, join: false });
        return left.then(() => ({ success: true }), refused);
    }
    /** The metadata of a room; null if there is none, or if it may not be read. */
    getRoomMetadata(room) {
        return this.command("mesh/get-room-metadata", { roomName: room }).then(parseMetadata, () => null);
    }
    /** The metadata of a connection, by default of this one; null if there is none, or if it may not be read. */
    getConnectionMetadata(connectionId) {
        const metadata = connectionId === undefined
            ? this.command("mesh/get-my-connection-metadata")
            : this.command("mesh/get-connection-metadata", { connectionId });
        return metadata.then(parseMetadata, () => null);
    }
    /** Calls back for each push of that name, whatever the name; answers what ends that. */
    onPush(name, listener) {
        return this.#events.pushes.add(name, listener);
    }
    on(name, listener) {
        this.#events.of(name).add(name, listener);
        return this;
    }
    once(name, listener) {
        this.#events.of(name).add(name, listener, true);
        return this;
    }
    off(name, listener) {
        this.#events.of(name).remove(name, listener);
        return this;
    }
    /** Calls back when the client is online for the first time. */
    onConnect(listener) {
        return this.on("connect", listener);
    }
    /** Calls back when `close()` was called. */
    onDisconnect(listener) {
        return this.on("disconnect", listener);
    }
    /** Calls back when the client is online again. */
    onReconnect(listener) {
        return this.on("reconnect", listener);
    }
    /** Calls back when the client has stopped trying. */
    onReconnectFailed(listener) {
        return this.on("reconnectfailed", listener);
    }
    #command(command, payload, options, room) {
        const { timeout: timeoutMs = timeoutMsDefault, signal, offline = "queue" } = options;
        return new Promise((resolve, reject) => {
            if (signal?.aborted)
                return reject(aborted(signal));
            const body = encode(payload);
            const bytes = byteLength(command) + (body === undefined ? 0 : byteLength(body)) + envelopeBytes;
            this.#key += 1;
            const key = this.#key;
            const abort = () => this.#tell((session) => session.abort(key, aborted(signal)));
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
            const request = { key, command, body, bytes, timeoutMs, offline };
            this.#tell((session, now) => session.call(room ? { ...request, room } : request, now));
        });
    }
    /** Tells the session something and does what it wants done; what comes meanwhile waits for its turn. */
    #tell(input) {
        input(this.#session, this.#clock.now());
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
                return this.#socket?.hangup(action.code, action.dead);
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
        }
    }
    #authenticate(generation, reason) {
        this.#unwatch ??= this.#watchWake(() => this.#tell((session, now) => session.wake(now)));
        const auth = this.#auth;
        if (!auth)
            return this.#tell((session, now) => session.credential(generation, undefined, now));
        const credential = new Promise((resolve) => resolve(auth({ reason }))).then(encode);
        credential.then((body) => this.#tell((session, now) => session.credential(generation, body, now)), (thrown) => {
            const error = asCodeError(thrown, "auth_failed");
            this.#tell((session, now) => session.credentialFailed(generation, error, now));
        });
    }
    #dial(generation) {
        return this.#openSocket(this.#url, "mesh.v1", {
            opened: () => this.#tell((session, now) => session.opened(generation, now)),
            frame: (text) => this.#tell((session, now) => session.frame(generation, text, now)),
            closed: (code, reason) => this.#tell((session, now) => session.closed(generation, code, reason, now)),
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
function aborted(signal) {
    return new CodeError("The command was aborted", "aborted", "AbortError", { details: signal?.reason });
}
