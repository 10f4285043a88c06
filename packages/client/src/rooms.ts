interface Room {
  joined: boolean;
  pending: number;
  retryAt: number;
}

/** A join under way. It counts only if the room was not left since. */
export interface Join {
  readonly name: string;
  readonly room: object;
}

/** The rooms this client wants to be in, so that a new connection joins them again. */
export class Rooms {
  readonly #rooms: Map<string, Room> = new Map();

  /** The application joins. Two joins at once share the room, so either's success counts. */
  join(name: string): Join {
    const room = this.#rooms.get(name) ?? { joined: false, pending: 0, retryAt: Number.POSITIVE_INFINITY };
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

  /** The application leaves: whatever the server answers, the room is not joined again. */
  leave(name: string): void {
    this.#rooms.delete(name);
  }

  /** The rooms to join on a new connection. */
  restore(): string[] {
    const names: string[] = [];
    for (const [name, room] of this.#rooms) {
      room.retryAt = Number.POSITIVE_INFINITY;
      if (room.joined) names.push(name);
    }
    return names;
  }

  /** Whether the room is (still) one to join again. */
  has(name: string): boolean {
    return this.#rooms.get(name)?.joined ?? false;
  }

  /** Joining again failed for now. */
  retry(name: string, at: number): void {
    const room = this.#rooms.get(name);
    if (room) room.retryAt = at;
  }

  /** The rooms whose next attempt is due. */
  due(now: number): string[] {
    const names: string[] = [];
    for (const [name, room] of this.#rooms) {
      if (room.retryAt > now) continue;
      room.retryAt = Number.POSITIVE_INFINITY;
      names.push(name);
    }
    return names;
  }

  /** When the next room is due. */
  dueAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const room of this.#rooms.values()) at = Math.min(at, room.retryAt);
    return at;
  }
}
