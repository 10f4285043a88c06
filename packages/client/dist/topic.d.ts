import type { Action } from "./actions.js";
import type { ChannelOptions } from "./channel.js";
import { CodeError } from "./errors.js";
import type { WaitOptions } from "./options.js";
import type { Position } from "./positions.js";
import type { RecordOptions } from "./record.js";
import type { Txns } from "./txns.js";
/** What a server may send, not yet looked into. */
export type Payload = Readonly<Record<string, unknown>>;
/** Any callback of the application's. */
export type Callback = (...args: never[]) => void;
/** What everybody who subscribes may ask for. */
export interface SubscribeOptions extends WaitOptions {
    /** Only the newest counts: the server lets those that wait to be sent give way to it. */
    readonly latest?: boolean | undefined;
    /** At most so many a second, 0.01 to 1,000; implies `latest`. The last one always comes. */
    readonly maxRate?: number | undefined;
    /** Whether what this client itself wrote comes back to this callback. Default true. */
    readonly echo?: boolean | undefined;
}
/** What a subscription to either may ask for. */
export type TopicOptions = ChannelOptions & RecordOptions;
/** One callback. */
export interface Listener {
    readonly callback: Callback;
    options: TopicOptions;
    /** Whether it has been given what there was, so that what is new is for it, too. */
    served: boolean;
    /** Whether it is never to be called again. What is still to be done for it must see that. */
    ended: boolean;
}
/** A subscription that the application waits for. */
export interface Wait {
    readonly key: number;
    readonly topic: Topic;
    readonly listener: Listener;
    readonly timeoutMs: number;
    readonly deadline: number;
    done: boolean;
}
/** A command of a topic's on its way. */
export interface Op {
    readonly topic: Topic;
    readonly kind: "subscribe" | "unsubscribe" | "read";
    readonly command: string;
    readonly body: Payload;
    /** Of a channel: how much history was asked for. */
    readonly limit: number;
    /** Of `subscribe`: whether somebody is to be given what he missed. */
    readonly resumes: boolean;
}
/** What a topic needs of the client around it. */
export interface Surroundings {
    readonly emit: (action: Action) => void;
    readonly txns: Txns;
}
/** How long a subscription waits for its answer where nothing else is said. */
export declare const topicMs = 30000;
/**
 * One channel or record: who listens, and how it stands on this connection. What the application wishes is in `listeners`; `next`
 * tells the command that brings the server nearer to that. One is under way at a time, so the last wish wins (trap w).
 */
export declare abstract class Topic {
    #private;
    readonly name: string;
    listeners: Listener[];
    waits: Wait[];
    /** The command under way. */
    op: Op | undefined;
    /** Whether this connection is subscribed. What nobody can know counts as yes. */
    on: boolean;
    /** Whether to subscribe again, although it is. */
    stale: boolean;
    /** Whether something may have been missed that no answer has told of yet. */
    protected interrupted: boolean;
    protected readonly surroundings: Surroundings;
    /** Of the last entry handed out. */
    protected position: Position | undefined;
    constructor(name: string, surroundings: Surroundings);
    /** What is told in an error, to say which topic it is about. */
    abstract get about(): Payload;
    abstract readonly kind: "channel" | "record";
    /** What to ask for when subscribing, beside `wishes`. */
    protected abstract from(resumes: boolean): {
        readonly body: Payload;
        readonly limit: number;
    };
    /** What else is to be done while subscribed. */
    protected abstract also(): Op | undefined;
    protected abstract subscribed(op: Op, answer: Payload): void;
    protected abstract handle(push: Payload): void;
    /** Registers a callback. The same one twice is one (trap k). */
    add(key: number, callback: Callback, options: TopicOptions, now: number): Wait;
    /** Removes callbacks. Who still waits for one of them learns that it was removed. */
    remove(matches: (listener: Listener) => boolean): boolean;
    /** Ends those waits, and the callbacks that were not served before. */
    refuse(error: unknown, matches?: (wait: Wait) => boolean): void;
    /** Somebody waits for the end of the subscription. */
    leave(key: number): void;
    /** It has come, or is no longer wished for. */
    left(): void;
    /** The connection is gone. */
    lost(): void;
    /** What to send now, if anything. Only for a topic without a command under way. */
    next(): Op | undefined;
    /** The command under way was answered. */
    answered(op: Op, answer: Payload): void;
    /** The command under way failed. `isKnown` says whether the server told so. */
    failed(op: Op, error: CodeError, isKnown: boolean): void;
    /**
     * The server no longer lets this client listen; answers whether callbacks were given up for that. Where somebody waits for a
     * subscription, its answer decides.
     */
    ended(): boolean;
    /** The server pushed. */
    push(push: Payload): void;
    /** Where the callbacks of one topic wish for different things, the one that wishes for the most decides. */
    protected wishes(): Payload;
    /** Whether entries may be left out on purpose. */
    protected get skips(): boolean;
    protected request(kind: Op["kind"], more: Payload, limit?: number, resumes?: boolean): Op;
    /** Somebody has what he waited for, and is told of all that follows. */
    protected serve(wait: Wait, value: unknown): void;
    /** Has a callback called, unless it is ended before its turn comes. */
    protected call(listener: Listener, callback: Callback, ...args: readonly unknown[]): void;
}
