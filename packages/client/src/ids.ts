const idsMax = 65_536;

/**
 * The ids 0 to 65535 of one connection.
 *
 * An id is free again when its answer has come, and not before: a call that timed out leaves its id taken, or the
 * late answer would resolve whichever call got the id next (trap e). The rule is bounded without a clock, because an answer
 * can only come over the connection that carried the command: each connection begins with all ids free, and at most
 * 65,536 are taken. A server that answers none of them makes the next call fail rather than go astray.
 */
export class Ids {
  readonly #taken: Set<number> = new Set();
  #next = 0;

  /** Takes the next free id, round the circle, so that one just released rests the longest. */
  take(): number | undefined {
    if (this.#taken.size === idsMax) return undefined;
    while (this.#taken.has(this.#next)) this.#next = (this.#next + 1) % idsMax;
    const id = this.#next;
    this.#taken.add(id);
    this.#next = (id + 1) % idsMax;
    return id;
  }

  /** How many are taken. */
  get size(): number {
    return this.#taken.size;
  }

  /** The answer has come. */
  release(id: number): void {
    this.#taken.delete(id);
  }
}
