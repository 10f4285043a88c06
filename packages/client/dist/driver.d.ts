import type { Status } from "./actions.js";
import type { Request } from "./calls.js";
import { CodeError } from "./errors.js";
import type { Events } from "./events.js";
import { type CommandOptions, type MeshClientOptions } from "./options.js";
import type { Wish } from "./topics.js";
import { Txns } from "./txns.js";
/** How long a command waits for its answer where nothing else is said. */
export declare const timeoutMsDefault = 30000;
/** Carries the session's wishes out, with a socket, a clock and promises, and tells it what comes of them. */
export declare class Driver {
    #private;
    /** The marks of this client's writes. */
    readonly txns: Txns;
    constructor(url: string, options: MeshClientOptions, events: Events);
    get status(): Status;
    get connectionId(): string | undefined;
    get reason(): CodeError | undefined;
    get retryMs(): number | undefined;
    get serverTime(): number | undefined;
    connect(): Promise<void>;
    close(): Promise<void>;
    command(command: string, payload: unknown, options: CommandOptions, about?: Pick<Request, "room" | "subject">): Promise<unknown>;
    /** Subscribes; resolves to the answer, with what belongs to it. */
    subscribe(wish: Omit<Wish, "key">): Promise<unknown>;
    /** Ends subscriptions; resolves to whether there was one. */
    unsubscribe(wish: Omit<Wish, "key">): Promise<unknown>;
}
