import { Status } from "./actions.js";
/** How far a client is: `wait` for the next attempt, `stopped` until it is told to connect, `closed` for good. */
export type Phase = "idle" | "auth" | "dial" | "hello" | "restore" | "online" | "wait" | "stopped" | "closed";
/** Whether there is an open socket. */
export declare function isOpen(phase: Phase): boolean;
/** What the application calls that. `again` says whether this isn't the first attempt. */
export declare function statusOf(phase: Phase, again: boolean): Status;
