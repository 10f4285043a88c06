/** The rooms this client wants to be in, so that a new connection joins them again. */
export class Rooms {
    #rooms = new Map();
    /** The application joins. Two joins at once share the room, so either's success counts. */
    join(name) {
        const room = this.#rooms.get(name) ?? { joined: false, pending: 0, retryAt: Number.POSITIVE_INFINITY };
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
    /** The application leaves: whatever the server answers, the room is not joined again. */
    leave(name) {
        this.#rooms.delete(name);
    }
    /** The rooms to join on a new connection. */
    restore() {
        const names = [];
        for (const [name, room] of this.#rooms) {
            room.retryAt = Number.POSITIVE_INFINITY;
            if (room.joined)
                names.push(name);
        }
        return names;
    }
    /** Whether the room is (still) one to join again. */
    has(name) {
        return this.#rooms.get(name)?.joined ?? false;
    }
    /** Joining again failed for now. */
    retry(name, at) {
        const room = this.#rooms.get(name);
        if (room)
            room.retryAt = at;
    }
    /** The rooms whose next attempt is due. */
    due(now) {
        const names = [];
        for (const [name, room] of this.#rooms) {
            if (room.retryAt > now)
                continue;
            room.retryAt = Number.POSITIVE_INFINITY;
            names.push(name);
        }
        return names;
    }
    /** When the next room is due. */
    dueAt() {
        let at = Number.POSITIVE_INFINITY;
        for (const room of this.#rooms.values())
            at = Math.min(at, room.retryAt);
        return at;
    }
}
