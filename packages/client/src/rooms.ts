interface Room {
  joined: boolean;
  pending: number;
}

/** A join under way. It counts only if the room was not left since. */
export interface Join {
  readonly name: string;
  readonly room: object;
}

// The server takes 32 commands at once and lets only so many wait.
const restoringMax = 16;

/** The rooms this client wants to be in, so that a new connection joins them again. */
export class Rooms {
  readonly #rooms: Map<string, Room> = new Map();
  /** When a room is tried again whose server could not let us in for now. */
  readonly #retries: Map<string, number> = new Map();
  #waiting: string[] = [];
  #restoring = 0;

  /** The application joins. Two joins at once share the room, so either's success counts. */
  join(name: string): Join {
    const room = this.#rooms.get(name) ?? { joined: false, pending: 0 };
    room.pending += 1;
    this.#rooms.set(name, room);
    return { name, room };
  }

  /** That join has ended. */
  joined({ name, room }: Join, success: boolean): void {
    const held = this.#rooms.get(name);
    if (held === undefined || held !== room) return;
    held.pending -= 1;
    if (success) held.joined = true;
    else if (!held.joined && held.pending === 0) this.#rooms.delete(name);
  }

  /** The application leaves, or is refused: the room is not joined again. */
  leave(name: string): void {
    this.#rooms.delete(name);
    this.#retries.delete(name);
  }

  /** A new connection begins to join the rooms again. */
  restore(): void {
    this.#retries.clear();
    this.#restoring = 0;
    this.#waiting = [...this.#rooms].filter(([, room]) => room.joined).map(([name]) => name);
  }

  /** The rooms to join now: some at a time. */
  next(): string[] {
    const names: string[] = [];
    while (this.#restoring < restoringMax) {
      const name = this.#waiting.shift();
      if (name === undefined) break;
      if (!this.#rooms.get(name)?.joined) continue;
      this.#restoring += 1;
      names.push(name);
    }
    return names;
  }

  /** One of them has ended, one way or another. */
  restored(): void {
    this.#restoring -= 1;
  }

  /** Whether the last has. */
  get complete(): boolean {
    return this.#restoring === 0 && this.#waiting.length === 0;
  }

  /** Joining that room again failed for now. */
  retry(name: string, at: number): void {
    if (this.#rooms.get(name)?.joined) this.#retries.set(name, at);
  }

  /** Takes the rooms whose next try is due. */
  due(now: number): string[] {
    const names = [...this.#retries].filter(([, at]) => at <= now).map(([name]) => name);
    for (const name of names) this.#retries.delete(name);
    return names;
  }

  /** When the next room is due. */
  dueAt(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#retries.values());
  }
}
