import { Driver, timeoutMsDefault } from "./driver.js";
import { Events } from "./events.js";
import { environmentOf, } from "./options.js";
import { parseHistory, parseJoined, parseMetadata, refused, } from "./results.js";
/**
 * A connection to a Mesh server that comes back by itself.
 *
 * A lost connection is dialled again with exponential back-off and full jitter, without end by default. Then the rooms are
 * joined again, `reconnect` is emitted, channels and records are subscribed again where they were left, and the commands given
 * meanwhile are sent in order. It never has two sockets.
 *
 * @example
 * ```ts
 * const client = new MeshClient("wss://example.org/mesh", { auth: () => fetchToken() });
 * await client.connect();
 * console.log(await client.command("echo", "Hello!"));
 * await client.close();
 * ```
 */
export class MeshClient {
    #driver;
    #events;
    /**
     * Makes a client. It does nothing until `connect` or the first command.
     *
     * @param url - `ws:` or `wss:`, whatever the platform's WebSocket takes
     */
    constructor(url, options = {}) {
        this.#events = new Events(environmentOf(options).report);
        this.#driver = new Driver(url, options, this.#events);
    }
    /** Whether the client is online, connecting, reconnecting or offline. */
    get status() {
        return this.#driver.status;
    }
    /** The id of the connection, of the form `conn-` and 32 digits; `undefined` without one. Each connection has a new one. */
    get connectionId() {
        return this.#driver.connectionId;
    }
    /** Why there is no connection, as the last attempt or loss told; `undefined` while online. */
    get reason() {
        return this.#driver.reason;
    }
    /** How many milliseconds until the next attempt; `undefined` unless the client waits for one. */
    get retryMs() {
        return this.#driver.retryMs;
    }
    /**
     * What the server's clock shows now, in milliseconds since 1970, give or take half a round trip; `undefined` before the
     * first connection. It doesn't depend on how this machine's clock is set.
     */
    get serverTime() {
        return this.#driver.serverTime;
    }
    /**
     * Connects, or joins the attempt under way; resolves at once if online. Where an attempt is set for later, it waits for that.
     * Resolves when the server has answered the hello and the rooms, if any, are joined again.
     *
     * After a rejection the client goes on trying by itself, unless `shouldReconnect` is false or the code is one of those that
     * say that trying is of no use.
     *
     * @throws {@link CodeError} `ECONNECTION` if the attempt fails; `closed` after `close()`; the code of a close that tells the
     * client to give up, such as `unauthorized`; what `auth` threw
     */
    connect() {
        return this.#driver.connect();
    }
    /**
     * Closes the connection for good: no event reopens it, `connect` and `command` reject with `closed` from now on. Whatever
     * waits rejects. Resolves when the socket is gone, after 1 s at most; no timer and no listener is left behind.
     */
    close() {
        return this.#driver.close();
    }
    /**
     * Runs a command and resolves to its answer. Without a connection it connects first, or waits for the one that is being made
     * again. The answer is not checked against `T`.
     *
     * @param name - 1 to 255 bytes
     * @param payload - any JSON value, taken as it is now; missing means `null` to the server
     * @param expiresIn - how long to wait in milliseconds (default 30,000, `Infinity` for without end), or more about it
     * @throws {@link CodeError} with the server's code. Or `ETIMEOUT`, `disconnected` or `cancelled`, of which `sent` tells
     * whether the command may have taken effect. Or, never sent: `queue_full`, `too_large`, `bad_payload`, `dropped`, `closed`, and
     * what the client gave up with.
     *
     * @example
     * ```ts
     * const sum = await client.command<number>("add", [1, 2], { timeout: 5_000, signal: AbortSignal.timeout(1_000) });
     * ```
     */
    command(name, payload, expiresIn = timeoutMsDefault) {
        const options = typeof expiresIn === "number" ? { timeout: expiresIn } : expiresIn;
        return this.#call(name, payload, options, name);
    }
    /** Asks the server for nothing, to see whether it is there. Rejects as `command` does. */
    noop() {
        return this.command("mesh/noop");
    }
    /**
     * Joins a room, and joins it again after each reconnect until it is left. Never rejects: a refusal is
     * `{success: false, error}`. Where a later join is refused, the room is given up and `error` is emitted, with
     * `details.roomName`.
     *
     * @param room - 1 to 255 bytes, without control characters
     *
     * @example
     * ```ts
     * const { success, present } = await client.joinRoom("room:lobby");
     * ```
     */
    joinRoom(room) {
        const joined = this.#driver.command("mesh/join-room", { roomName: room }, {}, { room: { name: room, join: true } });
        return joined.then(parseJoined, (error) => ({
            ...refused(error),
            present: [],
            count: 0,
            truncated: false,
        }));
    }
    /** Leaves a room; whatever the answer, it is not joined again after a reconnect. Never rejects. */
    leaveRoom(room) {
        const left = this.#driver.command("mesh/leave-room", { roomName: room }, {}, { room: { name: room, join: false } });
        return left.then(() => ({ success: true }), refused);
    }
    /**
     * Subscribes to a channel, and again after each reconnect, until it is unsubscribed. Each message comes once and in order; what
     * was missed while there was no connection comes with `replayed`, or `onGap` is told first that something is lost. Never
     * rejects: a refusal is `{success: false, error}`. Where a later subscription is refused, or the server ends it, the callbacks
     * are given up and `error` is emitted, with `details.channel`.
     *
     * All callbacks of a channel share one subscription, and the same callback twice is one. Where they differ in `latest` and
     * `maxRate`, the one that asks for the most decides. `timeout` and `signal` are about the wait for the answer: a callback that
     * had none before is not called after they have ended it, and one that had keeps the subscription it had.
     *
     * @param callback - is given the history asked for first, oldest first, then each message. It isn't checked against `T`
     *
     * @example
     * ```ts
     * const { history } = await client.subscribeChannel("chat:1", show, { historyLimit: 50, onGap: () => reload() });
     * ```
     */
    subscribeChannel(channel, callback, options = {}) {
        const wish = { kind: "channel", name: channel, callback, options };
        return this.#driver
            .subscribe(wish)
            .catch((error) => ({ ...refused(error), history: [] }));
    }
    /** Ends the subscription of one callback, or of all; resolves to whether there was one. Never rejects. */
    unsubscribeChannel(channel, callback) {
        return this.#driver.unsubscribe({ kind: "channel", name: channel, callback });
    }
    /** Publishes any JSON value to all subscribers of a channel. Never rejects: a refusal is `{success: false, error}`. */
    publishChannel(channel, message, options) {
        const published = this.#write("mesh/publish-channel", { channel, message }, options, channel);
        return published.catch(refused);
    }
    /**
     * Reads messages of the past, 50 unless `limit` says otherwise: the newest, those before an offset, or those after a position
     * or an offset. Waits as `command` does. Never rejects: a refusal is `{success: false, error}`.
     */
    getChannelHistory(channel, options = {}) {
        const { limit, before, after } = options;
        const read = this.#call("mesh/get-channel-history", { channel, limit, before, after }, options);
        return read.then(parseHistory, (error) => ({ ...refused(error), messages: [], truncated: false }));
    }
    /**
     * Subscribes to a record, and again after each reconnect, until it is unsubscribed. The callback is given the value at once,
     * `{recordId, full, version}`, then each change: as `full`, or with `mode: "patch"` as `patch` where that is smaller. What
     * was missed comes as `full`. Never rejects, and shares subscriptions, as `subscribeChannel` does.
     *
     * @example
     * ```ts
     * import { applyPatch } from "@mesh/client/patch";
     * await client.subscribeRecord("product:456", ({ value }) => draw(value), { mode: "patch", track: applyPatch });
     * ```
     */
    subscribeRecord(recordId, callback, options = {}) {
        const wish = { kind: "record", name: recordId, callback, options };
        return this.#driver
            .subscribe(wish)
            .catch((error) => ({ ...refused(error), record: null, version: 0 }));
    }
    /** Ends the subscription of one callback, or of all; resolves to whether there was one. Never rejects. */
    unsubscribeRecord(recordId, callback) {
        return this.#driver.unsubscribe({ kind: "record", name: recordId, callback });
    }
    /** As `writeRecord`, but resolves to whether the server took it. */
    publishRecordUpdate(recordId, newValue, options) {
        return this.writeRecord(recordId, newValue, options).then(() => true, () => false);
    }
    /**
     * Writes a record; resolves to its new version. With `ifVersion` only if it is at that version: else it rejects with
     * `conflict`, whose details are `{version, record}`. Rejects as `command` does.
     */
    writeRecord(recordId, newValue, options = {}) {
        const { strategy, ifVersion } = options;
        const how = strategy === undefined ? undefined : { strategy };
        // Only a whole value says all that the ones before it said.
        const isWhole = ifVersion === undefined && (strategy ?? "replace") === "replace";
        return this.#write("mesh/publish-record-update", { recordId, newValue, options: how, ifVersion }, options, isWhole ? recordId : undefined);
    }
    /** Applies a JSON patch (RFC 6902) to a record, all of it or nothing. Rejects as `writeRecord` does. */
    patchRecord(recordId, patch, options = {}) {
        return this.#write("mesh/patch-record", { recordId, patch, ifVersion: options.ifVersion }, options);
    }
    /**
     * Adds to a number of a record, at once with what others add; resolves to the new one.
     *
     * @param path - a JSON pointer to the number; default the whole record. What isn't there counts as 0
     */
    incrementRecord(recordId, by = 1, path, options) {
        return this.#write("mesh/increment-record", { recordId, path, by }, options);
    }
    /** Deletes a record, which makes a version like any change. Rejects as `writeRecord` does. */
    deleteRecord(recordId, options = {}) {
        return this.#write("mesh/delete-record", { recordId, ifVersion: options.ifVersion }, options);
    }
    /** A record and its version; null at version 0 if it was never written. Rejects as `command` does. */
    getRecord(recordId, options) {
        return this.#call("mesh/get-record", { recordId }, options);
    }
    /** The metadata of a room; null if there is none, or if it may not be read. */
    getRoomMetadata(room) {
        return this.#metadata("mesh/get-room-metadata", { roomName: room });
    }
    /** The metadata of a connection, by default of this one; null if there is none, or if it may not be read. */
    getConnectionMetadata(connectionId) {
        return connectionId === undefined
            ? this.#metadata("mesh/get-my-connection-metadata")
            : this.#metadata("mesh/get-connection-metadata", { connectionId });
    }
    /**
     * Calls back for each push of that name, whatever the name; answers what ends that. Names of the protocol (`mesh/…`, `ping`,
     * `latency`, …) are no pushes. The payload is not checked against `T`.
     *
     * @example
     * ```ts
     * const stop = client.onPush<{ x: number }>("cursor", ({ x }) => move(x));
     * ```
     */
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
    /** A command that others are told of. The mark tells this client's echo from what others do. */
    #write(command, payload, options, name) {
        return this.#call(command, { ...payload, txn: this.#driver.txns.next() }, options, name && command + name);
    }
    /** A command; what has no subject takes no rate. */
    #call(name, payload, options = {}, subject) {
        return this.#driver.command(name, payload, options, { subject });
    }
    #metadata(command, payload) {
        return this.command(command, payload).then((answer) => parseMetadata(answer), () => null);
    }
}
