/** The page is hidden, is seen again, or something else tells that now is a time to look whether the connection lives. */
export type Wake = "hide" | "show" | "wake";
/** Calls back when the machine may have slept or the network may have changed; answers what ends that. */
export type WatchWake = (callback: (what: Wake) => void) => () => void;
/** Watches the page, if there is one: `visibilitychange`, `pageshow` and `online`. */
export declare const watchPage: WatchWake;
