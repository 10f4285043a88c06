import { Status } from "./actions.js";
/** Whether there is an open socket. */
export function isOpen(phase) {
    return phase === "hello" || phase === "restore" || phase === "online";
}
/** What the application calls that. `again` says whether this isn't the first attempt. */
export function statusOf(phase, again) {
    if (phase === "online")
        return Status.ONLINE;
    if (phase === "idle" || phase === "stopped" || phase === "closed")
        return Status.OFFLINE;
    return again ? Status.RECONNECTING : Status.CONNECTING;
}
