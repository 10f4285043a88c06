/** No wait is drawn from more than this, however many attempts failed. */
export const backoffMsMax = 30_000;
// An interval of 0 would be a loop as fast as the machine allows (trap u).
const intervalMsMin = 100;
/**
 * The wait before an attempt: full jitter, from nothing up to a bound that doubles with each failure. The first is
 * drawn as well, since a server that restarts drops everybody at once.
 */
export function backoffMs(intervalMs, failures, random) {
    const base = Math.max(intervalMsMin, intervalMs);
    return random() * Math.min(backoffMsMax, base * 2 ** Math.min(failures - 1, 20));
}
