import { systemClock } from "./clock.js";
import { reportUncaught } from "./events.js";
import { openWebSocket } from "./socket.js";
import { watchPage } from "./wake.js";
/** The environment with nothing left open. Nothing of the platform is touched before a client is made. */
export function environmentOf(options) {
    return {
        clock: systemClock,
        openSocket: openWebSocket,
        watchWake: watchPage,
        random: Math.random,
        report: reportUncaught,
        ...options.environment,
    };
}
/** What the session needs of the options. */
export function sessionOptions(options, random) {
    const { pingTimeout = 30_000, maxMissedPings = 1, shouldReconnect = true } = options;
    const { reconnectInterval = 2_000, maxReconnectAttempts = Number.POSITIVE_INFINITY } = options;
    const queue = { commands: 1_000, bytes: 1_048_576, ...options.queue };
    const silenceMs = pingTimeout * (maxMissedPings + 1);
    const attempts = { shouldReconnect, reconnectInterval, maxReconnectAttempts, random };
    return { silenceMs, queue, attempts };
}
