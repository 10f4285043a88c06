import { type Action, Status } from "./actions.js";
import { type AttemptOptions } from "./attempts.js";
import { type QueueLimits, type Request } from "./calls.js";
import { CodeError } from "./errors.js";
/** What a session is told once. */
export interface SessionOptions {
    /** How long the server may be silent. */
    readonly silenceMs: number;
    readonly queue: QueueLimits;
    readonly attempts: AttemptOptions;
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
    /** Takes what is to be done, in order. */
    take(): Action[];
    /** When `time` is to be called; `Infinity` for never. */
    dueAt(): number;
    /** Connects, or joins the attempt under way. */
    connect(now: number): void;
    /** Closes for good. */
    close(): void;
    /** Sends a command, or keeps it until there is a connection. */
    call(request: Request, now: number): void;
    /** The application no longer waits for that call. */
    abort(key: number, error: CodeError): void;
    /** The machine woke up, or the network came back: asks whether the connection still lives, or dials sooner. */
    wake(now: number): void;
    /** The credential for the attempt is here, as JSON; `undefined` if there is none. */
    credential(generation: number, body: string | undefined, now: number): void;
    /** There is no credential to be had now. */
    credentialFailed(generation: number, error: CodeError, now: number): void;
    /** The socket is open. */
    opened(generation: number, now: number): void;
    /** A frame came. */
    frame(generation: number, text: string, now: number): void;
    /** The socket closed, or could not be opened. */
    closed(generation: number, code: number, reason: string, now: number): void;
    /** Time has passed. */
    time(now: number): void;
}
