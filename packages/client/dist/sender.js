import { Calls, serverLimits, } from "./calls.js";
import { CodeError, disconnectedError, tooLargeError } from "./errors.js";
const never = Number.POSITIVE_INFINITY;
// More than a subscription takes, so that it isn't made in vain.
const topicBytes = 4_096;
/** The commands, from the call to the answer: what is sent now, what waits, and who is told how it ended. */
export class Sender {
    /** How much the server takes. */
    server = serverLimits;
    #calls;
    #parts;
    constructor(limits, parts) {
        this.#calls = new Calls(limits);
        this.#parts = parts;
    }
    /** Sends a command of the application's, or keeps it until it can be sent; answers whether it does that. */
    call(request, isOnline, now) {
        const { key, command, body, bytes, timeoutMs, room } = request;
        const { rooms } = this.#parts;
        const call = { key, kind: "user", command, body, bytes, timeoutMs, deadline: now + timeoutMs };
        if (room && !room.join)
            rooms.leave(room.name);
        const joining = room?.join ? { ...call, join: rooms.join(room.name) } : call;
        const isNext = isOnline && !this.#calls.queued && this.#calls.fits(bytes, this.server);
        // What can never be sent must not wait in front of what can. `send` refuses it.
        if (isNext || bytes > this.server.messageBytes)
            this.send(joining);
        else {
            const full = this.#calls.enqueue(joining);
            if (!full)
                return true;
            this.reject(joining, full);
        }
        return false;
    }
    /** Sends what waits, as far as the server takes it: first what brings the subscriptions back. */
    pump(now) {
        while (this.#calls.fits(topicBytes, this.server)) {
            const call = this.#parts.topics.next(now);
            if (!call)
                break;
            this.send(call);
        }
        for (let call = this.#calls.next(this.server); call; call = this.#calls.next(this.server))
            this.send(call);
    }
    /** Sends a command now. */
    send(call) {
        const { messageBytes } = this.server;
        if (call.bytes > messageBytes)
            return this.reject(call, tooLargeError(messageBytes));
        const text = this.#calls.send(call);
        if (text !== undefined)
            return this.#parts.send(text);
        const error = new CodeError("Every id waits for an answer", "too_many_in_flight", "CodeError", {
            retryable: true,
        });
        this.reject(call, error);
    }
    /** The command that an answer belongs to, if it is still waited for. */
    answered(id) {
        return this.#calls.answered(id);
    }
    /** Takes the commands whose time is up. */
    expired(now) {
        return this.#calls.expired(now);
    }
    /** When there is something to do at the earliest. */
    dueAt() {
        return this.#calls.dueAt();
    }
    /** A command of the application's succeeded. */
    resolve(call, value) {
        if (call.join)
            this.#parts.rooms.joined(call.join, true);
        this.#parts.emit({ do: "resolve", key: call.key, value });
    }
    /** A command failed. */
    reject(call, error) {
        if (call.join)
            this.#parts.rooms.joined(call.join, false);
        // Only what can never be sent gets here, so there is no next time.
        if (call.op)
            this.#parts.topics.failed(call.op, error, true, never);
        if (call.kind === "user")
            this.#parts.emit({ do: "reject", key: call.key, error });
    }
    /** The application no longer waits for that call. */
    abort(key, error) {
        for (const call of this.#calls.remove((other) => other.key === key)) {
            this.reject(call, error(call.sent === true));
        }
        this.#parts.topics.abort(key, error);
    }
    /** The connection is gone: what was sent will not be answered. */
    lost(retryable = true) {
        for (const call of this.#calls.reset()) {
            if (call.kind === "user")
                this.reject(call, disconnectedError(true, retryable));
        }
        this.#parts.topics.lost();
    }
    /** There will be no connection for now: nothing is to wait for one. */
    rejectQueued(error) {
        for (const call of this.#calls.drain())
            this.reject(call, error);
        this.#parts.topics.reject(error);
    }
}
