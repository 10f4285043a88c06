/** No wait is drawn from more than this, however many attempts failed. */
export declare const backoffMsMax = 30000;
/**
 * The wait before an attempt: full jitter, from nothing up to a bound that doubles with each failure. The first is
 * drawn as well, since a server that restarts drops everybody at once.
 */
export declare function backoffMs(intervalMs: number, failures: number, random: () => number): number;
