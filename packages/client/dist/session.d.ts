import { type Action, Status } from "./actions.js";
import { type AttemptOptions } from "./attempts.js";
import { type QueueLimits, type Request } from "./calls.js";
import { CodeError } from "./errors.js";
import { type Wish } from "./topics.js";
import type { Txns } from "./txns.js";
import type { Wake } from "./wake.js";
/** What a session is told once. */
export interface SessionOptions {
    /** How long the server may be silent. */
    readonly silenceMs: number;
    readonly queue: QueueLimits;
    readonly attempts: AttemptOptions;
    readonly txns: Txns;
}
/**
 * The client's one state machine, without socket and timer. Each input is told the time; those of a socket carry its
 * generation, and what an older one still has to say is ignored. `take` answers what is to be done, `dueAt` when `time`
 * is to be called.
 */
export declare class Session {
    #private;
    constructor(options: SessionOptions);
    get status(): Status;
    get connectionId(): string | undefined;
    get reason(): CodeError | undefined;
    /** What the server's clock shows; `undefined` before the first answer to a hello. */
    serverTime(now: number): number | undefined;
    /** How long until the next attempt; `undefined` if none is set. */
    retryMs(now: number): number | undefined;
    /** Takes what is to be done, in order. */
    take(): Action[];
    /** When `time` is to be called; `Infinity` for never. */
    dueAt(): number;
    /** Connects, or joins the attempt under way. */
    connect(now: number): void;
    /** Closes for good. */
    close(): void;
    /** How many bytes the socket has not sent yet. The driver tells before each input. */
    buffered(bytes: number): void;
    /** Sends a command, or keeps it until there is a connection. */
    call(request: Request, now: number): void;
    /** Subscribes, now or as soon as there is a connection, and again on each that follows. */
    subscribe(wish: Wish, now: number): void;
    /** Ends subscriptions. */
    unsubscribe(wish: Wish, now: number): void;
    /** The application no longer waits for that call. */
    abort(key: number, error: (sent: boolean) => unknown, now: number): void;
    /**
     * The page is hidden, or seen again, or the network came back. Nobody misses a connection on a hidden page, so no attempt
     * is made there; then the connection is asked whether it still lives, or the attempt made at once.
     */
    wake(what: Wake, now: number): void;
    /** The credential for the attempt is here, as JSON; `undefined` if there is none. */
    credential(generation: number, body: string | undefined, now: number): void;
    /** There is no credential to be had now; or never, where the error isn't retryable. */
    credentialFailed(generation: number, error: CodeError, now: number): void;
    /** The socket is open. */
    opened(generation: number, now: number): void;
    /** A frame came. */
    frame(generation: number, text: string, now: number): void;
    /** The socket closed, or could not be opened. */
    closed(generation: number, code: number, reason: string, now: number): void;
    /** There can be no socket, now or later: the address is none, or there is no WebSocket here. */
    undialable(generation: number, why: string): void;
    /** Time has passed. */
    time(now: number): void;
}
