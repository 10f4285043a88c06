import type { CodeError } from "./errors.js";
import type { Callback, Listener } from "./topic.js";
import type { Frame } from "./wire.js";
/** How a client stands to its server. */
export type Status = 0 | 1 | 2 | 3;
/** The values of {@link Status}, by the origin's names. */
export declare const Status: {
    readonly ONLINE: 3;
    readonly CONNECTING: 2;
    readonly RECONNECTING: 1;
    readonly OFFLINE: 0;
};
/** Why a credential is asked for. */
export type AuthReason = "initial" | "reconnect" | "expired" | "wake";
/** How a connection ended. */
export interface Close {
    readonly code: number;
    readonly reason: string;
}
/** The events of a client's life, and what their listeners are given. Nothing on the wire can forge them. */
export interface LifecycleEvents {
    /** Online for the first time. */
    connect: [];
    /** `close()` was called. */
    disconnect: [];
    /** Online again. */
    reconnect: [];
    /** The client has stopped trying. */
    reconnectfailed: [error: CodeError];
    /** A connection ended. */
    close: [close: Close];
    /** Something failed that no call is there to reject for. */
    error: [error: CodeError];
    /** The server asked for a sign of life, and got it. */
    ping: [];
    /** The last round trip, as the server measured it, in milliseconds. */
    latency: [ms: number];
    /** The status changed. */
    status: [status: Status];
    /** Any frame came. */
    message: [frame: Frame];
}
/** The name of an event of a client's life. */
export type LifecycleName = keyof LifecycleEvents;
/** A lifecycle event with its arguments. */
export type Emitted = {
    [E in LifecycleName]: {
        readonly event: E;
        readonly args: LifecycleEvents[E];
    };
}[LifecycleName];
/** What the session wants done. Those with a generation are about the socket of that attempt alone. */
export type Action = {
    readonly do: "auth";
    readonly generation: number;
    readonly reason: AuthReason;
} | {
    readonly do: "dial";
    readonly generation: number;
} | {
    readonly do: "send";
    readonly generation: number;
    readonly text: string;
} | {
    readonly do: "hangup";
    readonly generation: number;
    readonly code: number;
    readonly dead: boolean;
} | {
    readonly do: "resolve";
    readonly key: number;
    readonly value: unknown;
} | {
    readonly do: "reject";
    readonly key: number;
    readonly error: unknown;
} | {
    readonly do: "connected";
} | {
    readonly do: "unconnected";
    readonly error: CodeError;
} | ({
    readonly do: "emit";
} & Emitted) | {
    readonly do: "push";
    readonly name: string;
    readonly payload: unknown;
} | {
    readonly do: "call";
    readonly listener: Pick<Listener, "ended">;
    readonly callback: Callback;
    readonly args: readonly unknown[];
};
