import { Status } from "./actions.js";
import { Attempts } from "./attempts.js";
import { ownCall } from "./calls.js";
import { closeClass, closeError } from "./closes.js";
import { CodeError, closedError, connectionError, disconnectedError, rejoinError, timeoutError, } from "./errors.js";
import { Liveness } from "./liveness.js";
import { isOpen, statusOf } from "./phases.js";
import { pushed } from "./pushes.js";
import { parseHello } from "./results.js";
import { Rooms } from "./rooms.js";
import { Sender } from "./sender.js";
import { Topics } from "./topics.js";
import { isObject, isTopic, parseFrame } from "./wire.js";
const never = Number.POSITIVE_INFINITY;
const authMs = 30_000;
const dialMs = 10_000;
const rejoinMs = 10_000;
// Waking may skip the wait, but events that come in a burst dial no faster than this.
const wakeDialMsMin = 1_000;
/**
 * The client's one state machine, without socket and timer. Each input is told the time; those of a socket carry its
 * generation, and what an older one still has to say is ignored. `take` answers what is to be done, `dueAt` when `time`
 * is to be called.
 */
export class Session {
    #attempts;
    #liveness;
    #sender;
    #rooms = new Rooms();
    #topics;
    #actions = [];
    #phase = "idle";
    #announced = Status.OFFLINE;
    #generation = 0;
    #connectionId;
    /** As JSON, from its arrival until it is sent. */
    #credential;
    /** Of `wait`, `auth`, `dial` and `hello`: when it ends. */
    #phaseEnds = never;
    #dialledAt = Number.NEGATIVE_INFINITY;
    #helloAt = 0;
    #onlineAt = 0;
    /** The server's clock minus ours. */
    #serverAhead;
    #wasOnline = false;
    /** Whether an attempt of this run has failed. */
    #retrying = false;
    /** Whether nobody sees the page. */
    #hidden = false;
    #nextReason = "reconnect";
    /** Why there is no connection. */
    #reason;
    constructor(options) {
        this.#attempts = new Attempts(options.attempts);
        this.#liveness = new Liveness(options.silenceMs);
        const emit = (action) => this.#do(action);
        const send = (text) => this.#do({ do: "send", generation: this.#generation, text });
        this.#topics = new Topics({ emit, txns: options.txns }, options.queue.commands);
        this.#sender = new Sender(options.queue, { emit, send, rooms: this.#rooms, topics: this.#topics });
    }
    get status() {
        return statusOf(this.#phase, this.#wasOnline || this.#retrying);
    }
    get connectionId() {
        return this.#connectionId;
    }
    get reason() {
        return this.#reason;
    }
    /** What the server's clock shows; `undefined` before the first answer to a hello. */
    serverTime(now) {
        return this.#serverAhead === undefined ? undefined : Math.round(now + this.#serverAhead);
    }
    /** How long until the next attempt; `undefined` if none is set. */
    retryMs(now) {
        return this.#phase === "wait" && !this.#hidden ? Math.max(0, this.#phaseEnds - now) : undefined;
    }
    /** Takes what is to be done, in order. */
    take() {
        const actions = this.#actions;
        this.#actions = [];
        return actions;
    }
    /** When `time` is to be called; `Infinity` for never. */
    dueAt() {
        const phase = this.#phase === "wait" && this.#hidden ? never : this.#phaseEnds;
        const calls = Math.min(this.#sender.dueAt(this.#phase === "online"), this.#topics.dueAt(), phase);
        if (!isOpen(this.#phase))
            return calls;
        const rooms = this.#phase === "online" ? this.#rooms.dueAt() : never;
        return Math.min(calls, this.#liveness.dueAt(), rooms);
    }
    // --- What the application wants -----------------------------------------------------------------------------------
    /** Connects, or joins the attempt under way. */
    connect(now) {
        if (this.#phase === "closed")
            this.#do({ do: "unconnected", error: closedError() });
        else if (this.#phase === "online")
            this.#do({ do: "connected" });
        else if (this.#phase === "idle" || this.#phase === "stopped")
            this.#start(now);
        // Somebody asks who sees the page or not, so it isn't put off until the page is seen.
        else if (this.#phase === "wait" && this.#hidden)
            this.#dialSooner("reconnect", now);
    }
    /** Closes for good. */
    close() {
        if (this.#phase === "closed")
            return;
        const open = isOpen(this.#phase);
        this.#hangup(1000, false);
        this.#enter("closed", never);
        this.#connectionId = undefined;
        this.#reason = closedError();
        this.#sender.lost(false);
        this.#sender.rejectQueued(closedError());
        this.#do({ do: "unconnected", error: closedError() });
        if (open)
            this.#emit({ event: "close", args: [{ code: 1000, reason: "" }] });
        this.#emit({ event: "disconnect", args: [] });
    }
    /** How many bytes the socket has not sent yet. The driver tells before each input. */
    buffered(bytes) {
        this.#sender.buffered = bytes;
    }
    /** Sends a command, or keeps it until there is a connection. */
    call(request, now) {
        // What is volatile is dropped rather than refused.
        const error = this.#refusal(request.volatile ? "drop" : request.offline);
        if (error)
            return this.#do({ do: "reject", key: request.key, error });
        const waits = this.#sender.call(request, this.#phase === "online", now);
        if (waits && this.#phase === "idle")
            this.#start(now);
        if (request.maxRate !== undefined)
            this.#pump(now);
    }
    /** Subscribes, now or as soon as there is a connection, and again on each that follows. */
    subscribe(wish, now) {
        const error = this.#refusal("queue");
        if (error)
            return this.#do({ do: "reject", key: wish.key, error });
        this.#topics.subscribe(wish, now);
        if (this.#phase === "idle")
            this.#start(now);
        this.#pump(now);
    }
    /** Ends subscriptions. */
    unsubscribe(wish, now) {
        this.#topics.unsubscribe(wish);
        this.#pump(now);
    }
    /** The application no longer waits for that call. */
    abort(key, error, now) {
        this.#sender.abort(key, error);
        this.#pump(now);
    }
    /**
     * The page is hidden, or seen again, or the network came back. Nobody misses a connection on a hidden page, so no attempt
     * is made there; then the connection is asked whether it still lives, or the attempt made at once.
     */
    wake(what, now) {
        if (what === "hide")
            this.#hidden = true;
        if (what === "show")
            this.#hidden = false;
        if (this.#hidden)
            return;
        if (this.#phase !== "wait")
            this.time(now);
        if (this.#phase === "wait")
            this.#dialSooner("wake", now);
        else if (this.#phase === "online" && this.#liveness.probe(now)) {
            this.#sender.send(ownCall("probe", "mesh/noop", undefined, never));
        }
    }
    // --- What the socket and the clock say ----------------------------------------------------------------------------
    /** The credential for the attempt is here, as JSON; `undefined` if there is none. */
    credential(generation, body, now) {
        if (generation !== this.#generation || this.#phase !== "auth")
            return;
        this.#credential = body;
        this.#dialledAt = now;
        this.#enter("dial", now + dialMs);
        this.#do({ do: "dial", generation });
    }
    /** There is no credential to be had now; or never, where the error isn't retryable. */
    credentialFailed(generation, error, now) {
        if (generation !== this.#generation || this.#phase !== "auth")
            return;
        this.#lost(error.retryable ? "retry" : "give_up", error, now);
    }
    /** The socket is open. */
    opened(generation, now) {
        if (generation !== this.#generation || this.#phase !== "dial")
            return;
        this.#liveness.heard(now);
        this.#helloAt = now;
        this.#enter("hello", this.#phaseEnds);
        const credential = this.#credential === undefined ? "" : `,"credential":${this.#credential}`;
        this.#credential = undefined;
        this.#sender.send(ownCall("hello", "mesh/hello", `{"protocol":1${credential}}`, never));
    }
    /** A frame came. */
    frame(generation, text, now) {
        if (generation !== this.#generation || !isOpen(this.#phase))
            return;
        this.#liveness.heard(now);
        const frame = parseFrame(text);
        if (!frame)
            return;
        this.#emit({ event: "message", args: [frame] });
        if (frame.id === undefined)
            this.#push(frame);
        else {
            const call = this.#sender.answered(frame.id);
            if (call)
                this.#answer(call, frame, now);
        }
        this.#pump(now);
    }
    /** The socket closed, or could not be opened. */
    closed(generation, code, reason, now) {
        if (generation !== this.#generation || !(this.#phase === "dial" || isOpen(this.#phase)))
            return;
        if (isOpen(this.#phase))
            this.#emit({ event: "close", args: [{ code, reason }] });
        this.#lost(closeClass(code), closeError(code, reason), now);
    }
    /** There can be no socket, now or later: the address is none, or there is no WebSocket here. */
    undialable(generation, why) {
        if (generation !== this.#generation || this.#phase !== "dial")
            return;
        this.#stop(new CodeError(why, "ECONNECTION", "ConnectionError"), "stopped");
    }
    /** Time has passed. */
    time(now) {
        // Before the commands, so that who waits is told of the time that he gave.
        this.#topics.time(now);
        for (const call of this.#sender.expired(now)) {
            const error = timeoutError(call.timeoutMs, call.sent === true);
            if (call.kind === "rejoin")
                this.#rejoinFailed(call, error, now);
            else if (call.op)
                this.#topicFailed(call.op, error, false, now);
            else
                this.#sender.reject(call, error);
        }
        const verdict = isOpen(this.#phase) ? this.#liveness.verdict(now) : undefined;
        if (this.#phase === "wait") {
            if (now >= this.#phaseEnds && !this.#hidden)
                this.#attempt(this.#nextReason, now);
        }
        else if (now >= this.#phaseEnds) {
            this.#drop("The attempt took too long", now);
        }
        else if (verdict) {
            this.#drop(verdict, now);
            if (verdict === "no answer")
                this.wake("wake", now);
        }
        if (this.#phase === "online") {
            for (const name of this.#rooms.due(now))
                this.#sendRejoin(name, now);
        }
        this.#pump(now);
    }
    // --- Attempts -----------------------------------------------------------------------------------------------------
    #start(now) {
        this.#reason = undefined;
        this.#retrying = false;
        this.#attempts.begin();
        this.#attempt(this.#wasOnline ? "reconnect" : "initial", now);
    }
    /** Doesn't wait any longer, and begins to count anew. */
    #dialSooner(reason, now) {
        this.#attempts.reset();
        const sooner = Math.max(now, this.#dialledAt + wakeDialMsMin);
        this.#phaseEnds = Math.min(this.#phaseEnds, sooner);
        if (this.#nextReason !== "expired")
            this.#nextReason = reason;
        if (now >= this.#phaseEnds)
            this.#attempt(this.#nextReason, now);
    }
    #attempt(reason, now) {
        this.#generation += 1;
        this.#nextReason = "reconnect";
        this.#enter("auth", now + authMs);
        this.#do({ do: "auth", generation: this.#generation, reason });
    }
    #online(now) {
        const again = this.#wasOnline;
        this.#wasOnline = true;
        this.#onlineAt = now;
        this.#reason = undefined;
        this.#enter("online", never);
        this.#do({ do: "connected" });
        this.#emit({ event: again ? "reconnect" : "connect", args: [] });
        this.#pump(now);
    }
    /** We give the connection up, since nothing comes from it any more. */
    #drop(why, now) {
        const error = connectionError({ code: 4001, reason: why });
        if (isOpen(this.#phase))
            this.#emit({ event: "close", args: [{ code: 4001, reason: why }] });
        this.#hangup(4001, true);
        this.#lost("retry", error, now);
    }
    #lost(kind, error, now) {
        const onlineMs = this.#phase === "online" ? now - this.#onlineAt : undefined;
        this.#connectionId = undefined;
        this.#reason = error;
        this.#liveness.probed();
        this.#sender.lost();
        const next = this.#attempts.lost(kind, onlineMs, now);
        if (next === "stop")
            return this.#stop(error, "stopped");
        if (next === "spent")
            return this.#stop(error, "idle");
        if (next !== "idle" && next.reason === "expired" && next.at === now)
            return this.#attempt("expired", now);
        // Before anybody hears of it: who then calls `connect` waits for what comes, not for what was.
        this.#do({ do: "unconnected", error });
        if (next === "idle") {
            this.#sender.rejectQueued(error);
            this.#enter("idle", never);
        }
        else {
            this.#nextReason = next.reason;
            this.#retrying = true;
            this.#enter("wait", next.at);
        }
        this.#emit({ event: "error", args: [error] });
    }
    /** No more attempts, until the application asks for one: by `connect`, or where the phase is `idle`, by a command. */
    #stop(error, phase) {
        this.#reason = error;
        this.#do({ do: "unconnected", error });
        this.#sender.rejectQueued(error);
        this.#enter(phase, never);
        this.#emit({ event: "error", args: [error] });
        this.#emit({ event: "reconnectfailed", args: [error] });
    }
    #hangup(code, dead) {
        if (this.#phase !== "dial" && !isOpen(this.#phase))
            return;
        this.#do({ do: "hangup", generation: this.#generation, code, dead });
    }
    // --- Calls and answers --------------------------------------------------------------------------------------------
    #refusal(offline) {
        if (this.#phase === "closed")
            return closedError();
        if (offline === "drop")
            return undefined;
        if (this.#phase === "stopped")
            return this.#reason;
        return this.#phase === "online" || offline === "queue" ? undefined : disconnectedError(false);
    }
    #pump(now) {
        if (this.#phase === "online")
            this.#sender.pump(now);
    }
    #answer(call, frame, now) {
        if (call.kind === "hello")
            return this.#helloAnswered(frame, now);
        if (call.kind === "rejoin")
            return frame.error ? this.#rejoinFailed(call, frame.error, now) : this.#rejoined(now);
        if (call.kind === "probe")
            return this.#liveness.probed();
        if (call.op && frame.error)
            return this.#topicFailed(call.op, frame.error, true, now);
        if (call.op)
            return this.#topics.answered(call.op, frame.payload);
        if (frame.error)
            return this.#sender.reject(call, frame.error);
        this.#sender.resolve(call, frame.payload);
    }
    #helloAnswered({ error, payload }, now) {
        if (error) {
            this.#hangup(1000, false);
            const kind = error.code === "unauthorized" ? "refresh" : error.retryable ? "retry" : "give_up";
            return this.#lost(kind, error, now);
        }
        const hello = parseHello(payload);
        this.#connectionId = hello.connectionId;
        this.#sender.server = hello.limits;
        // The server read its clock about half way between the question and the answer.
        if (hello.serverTime !== undefined)
            this.#serverAhead = hello.serverTime - (this.#helloAt + now) / 2;
        this.#enter("restore", never);
        this.#rooms.restore();
        this.#restore(now);
    }
    /** Joins the rooms again, a few at a time, and is online after the last answer. */
    #restore(now) {
        for (const name of this.#rooms.next())
            this.#sendRejoin(name, now);
        if (this.#rooms.complete && this.#phase === "restore")
            this.#online(now);
    }
    #sendRejoin(name, now) {
        this.#sender.send(ownCall("rejoin", "mesh/join-room", JSON.stringify({ roomName: name }), rejoinMs, now, name));
    }
    #rejoined(now) {
        if (this.#phase !== "restore")
            return;
        this.#rooms.restored();
        this.#restore(now);
    }
    #rejoinFailed(call, error, now) {
        const name = call.join?.name ?? "";
        if (error.retryable)
            this.#rooms.retry(name, now + this.#attempts.retryMs());
        else
            this.#rooms.leave(name);
        this.#emit({ event: "error", args: [rejoinError(name, error)] });
        this.#rejoined(now);
    }
    #topicFailed(op, error, isKnown, now) {
        this.#topics.failed(op, error, isKnown, now + this.#attempts.retryMs());
    }
    #push(frame) {
        if (!isTopic(frame.command))
            this.#actions.push(...pushed(frame, this.#generation));
        else if (isObject(frame.payload))
            this.#topics.push(frame.command, frame.payload);
    }
    // --- Bookkeeping --------------------------------------------------------------------------------------------------
    #enter(phase, ends) {
        this.#phase = phase;
        this.#phaseEnds = ends;
        const status = this.status;
        if (status === this.#announced)
            return;
        this.#announced = status;
        this.#emit({ event: "status", args: [status] });
    }
    #emit(emitted) {
        this.#actions.push({ do: "emit", ...emitted });
    }
    #do(action) {
        this.#actions.push(action);
    }
}
