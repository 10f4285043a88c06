import type { Action } from "./actions.js";
import { type Call, type QueueLimits, type Request, type ServerLimits } from "./calls.js";
import { CodeError } from "./errors.js";
import type { Rooms } from "./rooms.js";
import type { Topics } from "./topics.js";
/** What a sender needs of the session around it. */
export interface SenderParts {
    readonly emit: (action: Action) => void;
    /** Gives a frame to the socket. */
    readonly send: (text: string) => void;
    readonly rooms: Rooms;
    readonly topics: Topics;
}
/** The commands, from the call to the answer: what is sent now, what waits, and who is told how it ended. */
export declare class Sender {
    #private;
    /** How much the server takes. */
    server: ServerLimits;
    /** How many bytes the socket has not sent yet, with those that it is about to be given. */
    buffered: number;
    constructor(limits: QueueLimits, parts: SenderParts);
    /** Sends a command of the application's, or keeps it until it can be sent; answers whether it keeps it. */
    call(request: Request, isOnline: boolean, now: number): boolean;
    /** Sends what waits, as far as the server takes it: first what brings the subscriptions back. */
    pump(now: number): void;
    /** Sends a command now. */
    send(call: Call): void;
    /** The command that an answer belongs to, if it is still waited for. */
    answered(id: unknown): Call | undefined;
    /** Takes the commands whose time is up. */
    expired(now: number): Call[];
    /** When there is something to do at the earliest. */
    dueAt(isOnline: boolean): number;
    /** A command of the application's succeeded. */
    resolve(call: Call, value: unknown): void;
    /** A command failed. */
    reject(call: Call, error: unknown): void;
    /** The application no longer waits for that call. */
    abort(key: number, error: (sent: boolean) => unknown): void;
    /** The connection is gone: what was sent will not be answered. */
    lost(retryable?: boolean): void;
    /** There will be no connection for now: nothing is to wait for one. */
    rejectQueued(error: CodeError): void;
}
