// A longer wait makes setTimeout fire at once.
const timeoutMsMax = 2 ** 31 - 1;
/** The machine's clock. It isn't the wall's: setting that would look like silence. */
export const systemClock = {
    now: () => performance.now(),
    after(ms, callback) {
        const timer = setTimeout(callback, Math.min(Math.max(0, ms), timeoutMsMax));
        return () => clearTimeout(timer);
    },
};
/** One timer that is set for whatever comes first. */
export class Alarm {
    #clock;
    #ring;
    #at = Number.POSITIVE_INFINITY;
    #stop;
    constructor(clock, ring) {
        this.#clock = clock;
        this.#ring = ring;
    }
    /** Rings at that time or before. Moving it back leaves the timer alone: it finds out when it rings. */
    set(at) {
        if (at === Number.POSITIVE_INFINITY)
            return this.#clear();
        if (this.#stop && this.#at <= at)
            return;
        this.#clear();
        this.#at = at;
        // Rounded up, since a timer that rings a fraction too soon would only be set again.
        this.#stop = this.#clock.after(Math.ceil(at - this.#clock.now()), () => {
            this.#stop = undefined;
            this.#ring();
        });
    }
    #clear() {
        this.#stop?.();
        this.#stop = undefined;
    }
}
