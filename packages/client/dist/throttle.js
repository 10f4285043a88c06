const never = Number.POSITIVE_INFINITY;
/**
 * The commands that are sent at most so often. Of each subject one waits, the newest; those that gave way to it end as it does.
 * The bounds are those of the queue: so many wait, so many gave way, so many subjects are known.
 */
export class Throttle {
    #limits;
    /** By subject; the one that left last is the last. */
    #lanes = new Map();
    /** The calls that gave way, and the key of the one that has their place. */
    #gaveWay = new Map();
    #seenAt = -never;
    constructor(limits) {
        this.#limits = limits;
    }
    /**
     * Lets a call wait for its turn, if only for a moment. Answers which one there is no room for: this one, or the oldest that gave
     * way.
     */
    add(call, { subject, maxRate }) {
        const lane = this.#lanes.get(subject) ?? { leftAt: -never, freeAt: 0, call: undefined };
        const others = [...this.#lanes.values()].filter((other) => other.call && other !== lane);
        const bytes = others.reduce((sum, other) => sum + (other.call?.bytes ?? 0), call.bytes);
        if (others.length >= this.#limits.commands || bytes > this.#limits.bytes)
            return call;
        // Forgets when that was last written which has been left alone for the longest.
        const [idle] = [...this.#lanes].find(([, other]) => !other.call) ?? [];
        if (idle !== undefined && this.#lanes.size >= this.#limits.commands)
            this.#lanes.delete(idle);
        this.#lanes.set(subject, lane);
        const { call: older } = lane;
        lane.call = call;
        lane.freeAt = lane.leftAt + 1_000 / maxRate;
        if (!older)
            return undefined;
        for (const each of [...this.follow(older.key), { ...older, body: undefined }]) {
            this.#gaveWay.set(each, call.key);
        }
        const [oldest] = this.#gaveWay.size > this.#limits.commands ? this.#gaveWay.keys() : [];
        if (oldest)
            this.#gaveWay.delete(oldest);
        return oldest;
    }
    /** Takes the next call whose turn it is, if it may be sent now. */
    next(now, may) {
        this.#seenAt = now;
        for (const [subject, lane] of this.#lanes) {
            const { call } = lane;
            if (!call || lane.freeAt > now || !may(call))
                continue;
            lane.leftAt = now;
            lane.call = undefined;
            this.#lanes.delete(subject);
            this.#lanes.set(subject, lane);
            return call;
        }
        return undefined;
    }
    /** Takes the calls that gave way to that one. */
    follow(key) {
        return this.#take((_, leader) => leader === key);
    }
    /** Takes the calls that match, of those that wait and of those that gave way. */
    remove(matches) {
        const removed = this.#take(matches);
        for (const lane of this.#lanes.values()) {
            if (!lane.call || !matches(lane.call))
                continue;
            removed.push(lane.call);
            lane.call = undefined;
        }
        return removed;
    }
    /** When there is something to do. What may be sent, but has no room, is no matter of time. */
    dueAt(isOnline) {
        const times = [...this.#gaveWay.keys()].map(({ deadline }) => deadline);
        for (const { call, freeAt } of this.#lanes.values()) {
            if (call)
                times.push(call.deadline, isOnline && freeAt > this.#seenAt ? freeAt : never);
        }
        return Math.min(never, ...times);
    }
    #take(matches) {
        const taken = [...this.#gaveWay].filter(([call, leader]) => matches(call, leader)).map(([call]) => call);
        for (const call of taken)
            this.#gaveWay.delete(call);
        return taken;
    }
}
