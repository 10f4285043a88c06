// The server takes 32 commands at once and lets only so many wait.
const restoringMax = 16;
/** The rooms this client wants to be in, so that a new connection joins them again. */
export class Rooms {
    #rooms = new Map();
    /** When a room is tried again whose server could not let us in for now. */
    #retries = new Map();
    #waiting = [];
    #restoring = 0;
    /** The application joins. Two joins at once share the room, so either's success counts. */
    join(name) {
        const room = this.#rooms.get(name) ?? { joined: false, pending: 0 };
        room.pending += 1;
        this.#rooms.set(name, room);
        return { name, room };
    }
    /** That join has ended. */
    joined({ name, room }, success) {
        const held = this.#rooms.get(name);
        if (held === undefined || held !== room)
            return;
        held.pending -= 1;
        if (success)
            held.joined = true;
        else if (!held.joined && held.pending === 0)
            this.#rooms.delete(name);
    }
    /** The application leaves, or is refused: the room is not joined again. */
    leave(name) {
        this.#rooms.delete(name);
        this.#retries.delete(name);
    }
    /** A new connection begins to join the rooms again. */
    restore() {
        this.#retries.clear();
        this.#restoring = 0;
        this.#waiting = [...this.#rooms].filter(([, room]) => room.joined).map(([name]) => name);
    }
    /** The rooms to join now: some at a time. */
    next() {
        const names = [];
        while (this.#restoring < restoringMax) {
            const name = this.#waiting.shift();
            if (name === undefined)
                break;
            if (!this.#rooms.get(name)?.joined)
                continue;
            this.#restoring += 1;
            names.push(name);
        }
        return names;
    }
    /** One of them has ended, one way or another. */
    restored() {
        this.#restoring -= 1;
    }
    /** Whether the last has. */
    get complete() {
        return this.#restoring === 0 && this.#waiting.length === 0;
    }
    /** Joining that room again failed for now. */
    retry(name, at) {
        if (this.#rooms.get(name)?.joined)
            this.#retries.set(name, at);
    }
    /** Takes the rooms whose next try is due. */
    due(now) {
        const names = [...this.#retries].filter(([, at]) => at <= now).map(([name]) => name);
        for (const name of names)
            this.#retries.delete(name);
        return names;
    }
    /** When the next room is due. */
    dueAt() {
        return Math.min(Number.POSITIVE_INFINITY, ...this.#retries.values());
    }
}
