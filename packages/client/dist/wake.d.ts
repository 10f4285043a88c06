/** Calls back when the machine may have slept or the network may have changed; answers what ends that. */
export type WatchWake = (callback: () => void) => () => void;
/** Watches the page, if there is one. */
export declare const watchPage: WatchWake;
