import type { Emitted, LifecycleEvents, LifecycleName } from "./actions.js";
type Listener = (...args: never[]) => void;
/** Whether a name is an event of the client's life rather than a push. */
export declare function isLifecycle(name: string): name is LifecycleName;
/** Listeners by name. There is one of these for the client's life and one for pushes, so neither can forge the other. */
export declare class Listeners {
    #private;
    /** Adds a listener and answers what removes it. */
    add(name: string, listener: Listener, once?: boolean): () => void;
    /** Removes every entry of a listener. */
    remove(name: string, listener: Listener): void;
    /** Calls the listeners and answers what they threw: none of them stops the others, or the client. */
    call(name: string, args: readonly unknown[]): unknown[];
    /** Whether anybody listens to that name. */
    has(name: string): boolean;
}
/** The two name spaces of a client. */
export declare class Events {
    #private;
    /** `report` gets what listeners throw while nobody listens to `error`. */
    constructor(report: (error: unknown) => void);
    /** The name space that a name given to `on` belongs to. */
    of(name: string): Listeners;
    /** The listeners of pushes, also of those that are called like a lifecycle event. */
    get pushes(): Listeners;
    /** Tells of the client's life. */
    emit({ event, args }: Emitted): void;
    /** Hands a push to whoever asked for it. */
    push(name: string, payload: unknown): void;
    /** Calls what was registered elsewhere. */
    call(callback: Listener, args: readonly unknown[]): void;
}
/** What listens to a lifecycle event. */
export type LifecycleListener<E extends LifecycleName> = (...args: LifecycleEvents[E]) => void;
/** Hands an error to the platform, as if nobody had caught it. A listener's fault must not vanish. */
export declare function reportUncaught(error: unknown): void;
export {};
