import { type Call } from "./calls.js";
import { CodeError } from "./errors.js";
import { type Callback, type Op, type Payload, type Surroundings, type TopicOptions } from "./topic.js";
/** A subscription, or its end, as the application asks for it. */
export interface Wish {
    readonly key: number;
    readonly kind: "channel" | "record";
    readonly name: string;
    /** Of an end: which one, or all. */
    readonly callback?: Callback | undefined;
    /** Of a subscription alone. */
    readonly options?: TopicOptions;
}
/** The channels and records that the application listens to, over all connections. */
export declare class Topics {
    #private;
    constructor(surroundings: Surroundings, waitsMax: number);
    /** Somebody subscribes. */
    subscribe({ key, kind, name, callback, options }: Wish, now: number): void;
    /** Somebody unsubscribes. */
    unsubscribe({ key, kind, name, callback }: Wish): void;
    /** The next command to send: so many are under way at a time. */
    next(now: number): Call | undefined;
    /** A command of ours was answered. */
    answered(op: Op, answer: unknown): void;
    /** A command of ours failed; one that isn't in vain is tried again then. `isKnown` says whether the server told so. */
    failed(op: Op, error: CodeError, isKnown: boolean, retryAt: number): void;
    /** The server pushed something of ours. */
    push(command: string, push: Payload): void;
    /** The connection is gone. The next one begins with all of them. */
    lost(): void;
    /** There will be no connection for now: nobody is to wait for one. */
    reject(error: CodeError): void;
    /** The application no longer waits for that subscription. */
    abort(key: number, error: (sent: boolean) => unknown): void;
    /** Time has passed. */
    time(now: number): void;
    /** When `time` has something to do. */
    dueAt(): number;
}
