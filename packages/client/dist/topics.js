import { ownCall } from "./calls.js";
import { ChannelTopic } from "./channel.js";
import { CodeError, queueFullError, timeoutError } from "./errors.js";
import { RecordTopic } from "./record.js";
import { topicMs, } from "./topic.js";
import { byteLength, isObject, parseError } from "./wire.js";
// The server takes 32 commands at once and lets 1,024 wait. After a reconnect the application's share them with ours.
const inFlightMax = 64;
// More than what is around a payload.
const envelopeBytes = 100;
/** The channels and records that the application listens to, over all connections. */
export class Topics {
    #surroundings;
    #topics = new Map();
    /** Those that may have something to send. */
    #ready = new Set();
    /** When a topic is tried again whose server refused it for now. */
    #retries = new Map();
    /** The subscriptions that are waited for. Those that are done are swept later. */
    #waits = new Set();
    #waitsMax;
    #inFlight = 0;
    constructor(surroundings, waitsMax) {
        this.#surroundings = surroundings;
        this.#waitsMax = waitsMax;
    }
    /** Somebody subscribes. */
    subscribe({ key, kind, name, callback = () => { }, options = {} }, now) {
        this.#sweep();
        if (this.#waits.size >= this.#waitsMax) {
            return this.#surroundings.emit({ do: "reject", key, error: queueFullError() });
        }
        let topic = this.#topics.get(kind + name);
        if (!topic) {
            const Class = kind === "channel" ? ChannelTopic : RecordTopic;
            topic = new Class(name, this.#surroundings);
            this.#topics.set(kind + name, topic);
        }
        this.#waits.add(topic.add(key, callback, options, now));
        this.#retries.delete(topic);
        this.#ready.add(topic);
    }
    /** Somebody unsubscribes. */
    unsubscribe({ key, kind, name, callback }) {
        const topic = this.#topics.get(kind + name);
        const found = topic?.remove((listener) => !callback || listener.callback === callback);
        if (topic && found && topic.listeners.length === 0 && (topic.on || topic.op))
            topic.leave(key);
        else
            this.#surroundings.emit({ do: "resolve", key, value: found === true });
        if (!topic)
            return;
        this.#retries.delete(topic);
        this.#settle(topic);
    }
    /** The next command to send: so many are under way at a time. */
    next(now) {
        for (const topic of this.#inFlight < inFlightMax ? this.#ready : []) {
            this.#ready.delete(topic);
            const op = topic.op ? undefined : topic.next();
            if (!op) {
                this.#settle(topic, false);
                continue;
            }
            topic.op = op;
            this.#inFlight += 1;
            const body = JSON.stringify(op.body);
            const bytes = byteLength(body) + envelopeBytes;
            // Not given up before those who wait for it give up themselves.
            const ms = Math.max(topicMs, ...topic.waits.map(({ deadline }) => deadline - now));
            return { ...ownCall("topic", op.command, body, ms, now), bytes, op };
        }
        return undefined;
    }
    /** A command of ours was answered. */
    answered(op, answer) {
        this.#inFlight -= 1;
        op.topic.answered(op, isObject(answer) ? answer : {});
        this.#settle(op.topic);
    }
    /** A command of ours failed; one that isn't in vain is tried again then. `isKnown` says whether the server told so. */
    failed(op, error, isKnown, retryAt) {
        const { topic, kind } = op;
        // Of those who wait, each is told for himself.
        const isOurs = kind === "subscribe" && topic.waits.length === 0 && topic.listeners.length > 0;
        this.#inFlight -= 1;
        topic.failed(op, error, isKnown);
        const lasts = kind === "subscribe" && topic.listeners.length > 0;
        if (error.retryable && (lasts || kind === "unsubscribe"))
            this.#retries.set(topic, retryAt);
        else
            this.#settle(topic);
        if (isOurs)
            this.#tell(topic, error);
    }
    /** The server pushed something of ours. */
    push(command, push) {
        if (command === "mesh/record-updates") {
            // What one transaction wrote.
            if (Array.isArray(push.updates))
                for (const each of push.updates)
                    this.push("mesh/record-update", { ...each });
            return;
        }
        const { recordId, channel } = push;
        const topic = this.#topics.get(recordId === undefined ? `channel${channel}` : `record${recordId}`);
        if (!topic)
            return;
        if (command === "mesh/subscription-ended") {
            if (topic.ended())
                this.#tell(topic, parseError(push));
            return this.#settle(topic);
        }
        topic.push({ ...push, command });
        if (topic.stale && !this.#retries.has(topic))
            this.#ready.add(topic);
    }
    /** The connection is gone. The next one begins with all of them. */
    lost() {
        this.#inFlight = 0;
        this.#retries.clear();
        for (const topic of this.#topics.values()) {
            topic.lost();
            this.#settle(topic);
        }
    }
    /** There will be no connection for now: nobody is to wait for one. */
    reject(error) {
        for (const topic of this.#topics.values()) {
            topic.refuse(error);
            this.#settle(topic);
        }
    }
    /** The application no longer waits for that subscription. */
    abort(key, error) {
        for (const wait of this.#waits)
            if (wait.key === key && !wait.done)
                this.#refuse(wait, error);
    }
    /** Time has passed. */
    time(now) {
        for (const wait of this.#waits) {
            if (!wait.done && wait.deadline <= now)
                this.#refuse(wait, (sent) => timeoutError(wait.timeoutMs, sent));
        }
        for (const [topic, at] of this.#retries) {
            if (at > now)
                continue;
            this.#retries.delete(topic);
            this.#ready.add(topic);
        }
    }
    /** When `time` has something to do. */
    dueAt() {
        this.#sweep();
        const deadlines = [...this.#waits].map(({ deadline }) => deadline);
        return Math.min(Number.POSITIVE_INFINITY, ...deadlines, ...this.#retries.values());
    }
    /** Tells of an error that nobody waits for. */
    #tell(topic, { message, code, name, retryable }) {
        const told = new CodeError(message, code, name, { retryable, details: topic.about });
        this.#surroundings.emit({ do: "emit", event: "error", args: [told] });
    }
    /** Ends that wait. The command that it waited for goes on: what comes of it may be for others. */
    #refuse(wait, error) {
        const { topic } = wait;
        topic.refuse(error(topic.op !== undefined), (other) => other === wait);
        this.#settle(topic);
    }
    #sweep() {
        for (const wait of this.#waits)
            if (wait.done)
                this.#waits.delete(wait);
    }
    /** Keeps a topic as long as somebody listens or the server may think so. */
    #settle(topic, again = true) {
        if (topic.listeners.length > 0 || topic.on || topic.op) {
            if (again)
                this.#ready.add(topic);
            return;
        }
        topic.left();
        this.#ready.delete(topic);
        this.#retries.delete(topic);
        this.#topics.delete(topic.kind + topic.name);
    }
}
