import type { LifecycleName, Status } from "./actions.js";
import { CodeError } from "./errors.js";
import { type LifecycleListener } from "./events.js";
import { type CommandOptions, type MeshClientOptions } from "./options.js";
import { type Joined, type Left } from "./results.js";
/** A connection to a Mesh server that comes back by itself. */
export declare class MeshClient {
    #private;
    /** Makes a client. It does nothing until `connect` or the first command. */
    constructor(url: string, options?: MeshClientOptions);
    /** Whether the client is online, connecting, reconnecting or offline. */
    get status(): Status;
    /** The id of the connection; `undefined` unless online. Each connection has a new one. */
    get connectionId(): string | undefined;
    /**
     * Connects, or joins the attempt under way. Resolves once the server has answered the hello, rejects when the attempt fails;
     * the client goes on trying by itself, unless it may not or the server told it to stop.
     */
    connect(): Promise<void>;
    /** Closes the connection for good: nothing reopens it, and nothing is left behind. */
    close(): void;
    /**
     * Runs a command and resolves to its answer. Connects first where there is no connection.
     *
     * @param expiresIn - how long to wait in milliseconds, or more about it
     * @throws {@link CodeError} with the server's code, or `ETIMEOUT`, `disconnected`, `queue_full`, `offline`, `aborted`,
     * `closed`, `too_large`, `bad_payload`
     */
    command(name: string, payload?: unknown, expiresIn?: number | CommandOptions): Promise<unknown>;
    /** Asks the server for nothing, to see whether it is there. */
    noop(): Promise<unknown>;
    /** Joins a room, and joins it again after each reconnect. */
    joinRoom(room: string): Promise<Joined>;
    /** Leaves a room. */
    leaveRoom(room: string): Promise<Left>;
    /** The metadata of a room; null if there is none, or if it may not be read. */
    getRoomMetadata(room: string): Promise<unknown>;
    /** The metadata of a connection, by default of this one; null if there is none, or if it may not be read. */
    getConnectionMetadata(connectionId?: string): Promise<unknown>;
    /** Calls back for each push of that name, whatever the name; answers what ends that. */
    onPush(name: string, listener: (payload: unknown) => void): () => void;
    /** Listens to an event of the client's life, or, by any other name, to a push. */
    on<E extends LifecycleName>(event: E, listener: LifecycleListener<E>): this;
    on(name: string, listener: (payload: unknown) => void): this;
    /** As `on`, for one time. */
    once<E extends LifecycleName>(event: E, listener: LifecycleListener<E>): this;
    once(name: string, listener: (payload: unknown) => void): this;
    /** Ends what `on` or `once` began. */
    off<E extends LifecycleName>(event: E, listener: LifecycleListener<E>): this;
    off(name: string, listener: (payload: unknown) => void): this;
    /** Calls back when the client is online for the first time. */
    onConnect(listener: () => void): this;
    /** Calls back when `close()` was called. */
    onDisconnect(listener: () => void): this;
    /** Calls back when the client is online again. */
    onReconnect(listener: () => void): this;
    /** Calls back when the client has stopped trying. */
    onReconnectFailed(listener: (error: CodeError) => void): this;
}
