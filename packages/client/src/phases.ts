import { Status } from "./actions.js";

/** How far a client is: `wait` for the next attempt, `stopped` until it is told to connect, `closed` for good. */
export type Phase = "idle" | "auth" | "dial" | "hello" | "restore" | "online" | "wait" | "stopped" | "closed";

/** Whether there is an open socket. */
export function isOpen(phase: Phase): boolean {
  return phase === "hello" || phase === "restore" || phase === "online";
}

/** What the application calls that. `again` says whether this isn't the first attempt. */
export function statusOf(phase: Phase, again: boolean): Status {
  if (phase === "online") return Status.ONLINE;
  if (phase === "idle" || phase === "stopped" || phase === "closed") return Status.OFFLINE;
  return again ? Status.RECONNECTING : Status.CONNECTING;
}
