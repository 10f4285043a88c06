import type { Status } from "./actions.js";
import type { Request } from "./calls.js";
import { CodeError } from "./errors.js";
import type { Events } from "./events.js";
import { type CommandOptions, type MeshClientOptions } from "./options.js";
/** How long a command waits for its answer where nothing else is said. */
export declare const timeoutMsDefault = 30000;
/** Carries the session's wishes out, with a socket, a clock and promises, and tells it what comes of them. */
export declare class Driver {
    #private;
    constructor(url: string, options: MeshClientOptions, events: Events);
    get status(): Status;
    get connectionId(): string | undefined;
    get reason(): CodeError | undefined;
    get retryMs(): number | undefined;
    get serverTime(): number | undefined;
    connect(): Promise<void>;
    close(): Promise<void>;
    command(command: string, payload: unknown, options: CommandOptions, room?: Request["room"]): Promise<unknown>;
}
