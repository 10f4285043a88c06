import { Ids } from "./ids.js";
import { writeCommand } from "./wire.js";
/** What a server takes unless it says otherwise. */
export const serverLimits = { messageBytes: 262_144, inFlight: 32, waiting: 1_024 };
// How much may wait in a server, whatever its number. PROTOCOL.md names it; the answer to the hello doesn't.
const waitingBytesMax = 262_144;
/**
 * The commands that wait to be sent, and those that wait for an answer. No more are sent than the server lets wait: a queue
 * that is drained all at once after a reconnect would be answered `too_many_in_flight`.
 */
export class Calls {
    #limits;
    #ids = new Ids();
    #sent = new Map();
    #sentBytes = 0;
    #queue = [];
    #queueBytes = 0;
    // Never later than the first deadline. It may be earlier, since calls that end don't move it: then the timer fires
    // once for nothing, which costs less than a search for each answer.
    #dueAt = Number.POSITIVE_INFINITY;
    constructor(limits) {
        this.#limits = limits;
    }
    /** Gives the call an id and answers its frame, or `undefined` if there is no id. */
    send(call) {
        const id = this.#ids.take();
        if (id === undefined)
            return undefined;
        call.sent = true;
        this.#sent.set(id, call);
        this.#sentBytes += call.bytes;
        this.#dueAt = Math.min(this.#dueAt, call.deadline);
        return writeCommand(id, call.command, call.body);
    }
    /** The call that an answer belongs to; `undefined` if it ended before. Its id is free from now on. */
    answered(id) {
        const call = this.#sent.get(id);
        if (!call)
            return undefined;
        this.#sent.delete(id);
        this.#sentBytes -= call.bytes;
        this.#ids.release(id);
        return call.kind === "ended" ? undefined : call;
    }
    /** Keeps the call until it can be sent, or answers it where there is no room. */
    enqueue(call) {
        if (this.#queue.length >= this.#limits.commands || this.#queueBytes + call.bytes > this.#limits.bytes) {
            return call;
        }
        this.#queue.push(call);
        this.#queueBytes += call.bytes;
        this.#dueAt = Math.min(this.#dueAt, call.deadline);
        return undefined;
    }
    /** Whether a call of that length may be sent now, before whatever is queued. */
    fits(bytes, server) {
        const unanswered = this.#ids.size;
        if (unanswered < server.inFlight)
            return true;
        return unanswered < server.inFlight + server.waiting && this.#sentBytes + bytes <= waitingBytesMax;
    }
    /** Whether a call has to wait behind others. */
    get queued() {
        return this.#queue.length > 0;
    }
    /** Takes the next of the queue that may be sent. */
    next(server) {
        const call = this.#queue[0];
        if (!call || !this.fits(call.bytes, server))
            return undefined;
        this.#queue.shift();
        this.#queueBytes -= call.bytes;
        return call;
    }
    /** Takes all that was queued, in order. */
    drain() {
        const queue = this.#queue;
        this.#queue = [];
        this.#queueBytes = 0;
        return queue;
    }
    /** The connection is gone: takes all that was sent, and begins again with all ids free. */
    reset() {
        const sent = [...this.#sent.values()];
        this.#sent = new Map();
        this.#sentBytes = 0;
        this.#ids = new Ids();
        return sent;
    }
    /** Takes the calls that match. The ids of those that were sent stay taken until their answers come. */
    remove(matches) {
        const removed = [];
        for (const [id, call] of this.#sent) {
            if (call.kind === "ended" || !matches(call))
                continue;
            removed.push(call);
            this.#sent.set(id, { ...call, kind: "ended", body: undefined, deadline: Number.POSITIVE_INFINITY });
        }
        const queue = [];
        for (const call of this.#queue) {
            if (!matches(call)) {
                queue.push(call);
                continue;
            }
            removed.push(call);
            this.#queueBytes -= call.bytes;
        }
        this.#queue = queue;
        return removed;
    }
    /** Takes the calls whose time is up. */
    expired(now) {
        if (now < this.#dueAt)
            return [];
        const expired = this.remove((call) => call.deadline <= now);
        this.#dueAt = Number.POSITIVE_INFINITY;
        for (const call of [...this.#sent.values(), ...this.#queue]) {
            this.#dueAt = Math.min(this.#dueAt, call.deadline);
        }
        return expired;
    }
    /** When `expired` has something to do at the earliest. */
    dueAt() {
        return this.#sent.size + this.#queue.length === 0 ? Number.POSITIVE_INFINITY : this.#dueAt;
    }
}
/** A command of the session's own, of which the application never hears. */
export function ownCall(kind, command, body, timeoutMs, now = 0, room) {
    const call = { key: 0, kind, command, body, bytes: 0, timeoutMs, deadline: now + timeoutMs };
    return room === undefined ? call : { ...call, join: { name: room, room: call } };
}
