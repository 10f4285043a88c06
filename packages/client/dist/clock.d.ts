/** The time, as the client needs it. Tests bring their own. */
export interface Clock {
    /** Milliseconds since whenever; never goes back. */
    now(): number;
    /** Calls back once after some milliseconds, and answers what stops that. */
    after(ms: number, callback: () => void): () => void;
}
/** The machine's clock. It isn't the wall's: setting that would look like silence. */
export declare const systemClock: Clock;
/** One timer that is set for whatever comes first. */
export declare class Alarm {
    #private;
    constructor(clock: Clock, ring: () => void);
    /** Rings at that time or before. Moving it back leaves the timer alone: it finds out when it rings. */
    set(at: number): void;
}
