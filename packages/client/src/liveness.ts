const never = Number.POSITIVE_INFINITY;
const probeMs = 2_000;

/** Whether the server is still there: it is if anything comes from it in time, and if it answers when it is asked. */
export class Liveness {
  readonly #silenceMs: number;
  #heardAt = 0;
  #probeEnds = never;

  constructor(silenceMs: number) {
    this.#silenceMs = silenceMs;
  }

  /** A connection begins, or a frame came. */
  heard(now: number): void {
    this.#heardAt = now;
  }

  /** Asks, unless an answer is already waited for; says whether to send the question. */
  probe(now: number): boolean {
    if (this.#probeEnds !== never) return false;
    this.#probeEnds = now + probeMs;
    return true;
  }

  /** The answer came, or the connection is gone. No other frame ends the wait: what the machine had read before it slept
   * arrives after it woke, also from a connection that is long dead. */
  probed(): void {
    this.#probeEnds = never;
  }

  /** Why to give the connection up, if so. */
  verdict(now: number): "silent" | "no answer" | undefined {
    if (now >= this.#heardAt + this.#silenceMs) return "silent";
    return now >= this.#probeEnds ? "no answer" : undefined;
  }

  /** When the verdict may change. */
  dueAt(): number {
    return Math.min(this.#heardAt + this.#silenceMs, this.#probeEnds);
  }
}
