/** The time, as the client needs it. Tests bring their own. */
export interface Clock {
  /** Milliseconds since whenever; never goes back. */
  now(): number;
  /** Calls back once after some milliseconds, and answers what stops that. */
  after(ms: number, callback: () => void): () => void;
}

// A longer wait makes setTimeout fire at once.
const timeoutMsMax = 2 ** 31 - 1;

/** The machine's clock. It isn't the wall's: setting that would look like silence. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(0, ms), timeoutMsMax));
    return () => clearTimeout(timer);
  },
};

/** One timer that is set for whatever comes first. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #at = Number.POSITIVE_INFINITY;
  #stop: (() => void) | undefined;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings at that time or before. Moving it back leaves the timer alone: it finds out when it rings. */
  set(at: number): void {
    if (at === Number.POSITIVE_INFINITY) return this.#clear();
    if (this.#stop && this.#at <= at) return;
    this.#clear();
    this.#at = at;
    // Rounded up, since a timer that rings a fraction too soon would only be set again.
    this.#stop = this.#clock.after(Math.ceil(at - this.#clock.now()), () => {
      this.#stop = undefined;
      this.#ring();
    });
  }

  #clear(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}
