const never = Number.POSITIVE_INFINITY;
/**
 * The commands that are sent at most so often. Of each subject one waits, the newest; those that gave way to it end as it does.
 * The bounds are those of the queue: so many wait, so many gave way, so many subjects are known.
 */
export class Throttle {
    #limits;
    /** By subject; the one that left last is the last. */
    #lanes = new Map();
    #gaveWay = new Map();
    #waiting = 0;
    #bytes = 0;
    #seenAt = Number.NEGATIVE_INFINITY;
    constructor(limits) {
        this.#limits = limits;
    }
    /** Lets a call wait for its turn, if only for a moment. Answers which one there is no room for: this one, or the oldest that
     * gave way. */
    add(call, { subject, maxRate }) {
        const { commands, bytes } = this.#limits;
        const lane = this.#lanes.get(subject) ?? { leftAt: -never, intervalMs: 0, turn: undefined };
        const { turn } = lane;
        if (!turn && this.#waiting >= commands)
            return call;
        const bytesThen = this.#bytes + call.bytes - (turn?.call.bytes ?? 0);
        if (bytesThen > bytes)
            return call;
        if (this.#lanes.size >= commands)
            this.#forget();
        this.#lanes.set(subject, lane);
        this.#bytes = bytesThen;
        lane.intervalMs = 1_000 / maxRate;
        if (!turn) {
            lane.turn = { call };
            this.#waiting += 1;
            return undefined;
        }
        this.#gaveWay.set({ ...turn.call, body: undefined }, turn);
        turn.call = call;
        if (this.#gaveWay.size <= commands)
            return undefined;
        const [oldest] = this.#gaveWay.keys();
        if (oldest)
            this.#gaveWay.delete(oldest);
        return oldest;
    }
    /** Takes the next call whose turn it is, if it may be sent now. */
    next(now, may) {
        this.#seenAt = now;
        if (this.#waiting === 0)
            return undefined;
        for (const [subject, lane] of this.#lanes) {
            const call = lane.turn?.call;
            if (!call || lane.leftAt + lane.intervalMs > now || !may(call))
                continue;
            this.#lanes.delete(subject);
            this.#lanes.set(subject, lane);
            lane.leftAt = now;
            this.#end(lane);
            return call;
        }
        return undefined;
    }
    /** Takes the calls that gave way to that one. */
    follow(key) {
        return this.#take((_, turn) => turn.call.key === key);
    }
    /** Takes the calls that match, of those that wait and of those that gave way. */
    remove(matches) {
        const removed = this.#take(matches);
        for (const lane of this.#lanes.values()) {
            if (!lane.turn || !matches(lane.turn.call))
                continue;
            removed.push(lane.turn.call);
            this.#end(lane);
        }
        return removed;
    }
    /** When there is something to do. What may be sent, but has no room, is no matter of time. */
    dueAt(isOnline) {
        let at = never;
        for (const { deadline } of this.#gaveWay.keys())
            at = Math.min(at, deadline);
        for (const { turn, leftAt, intervalMs } of this.#waiting > 0 ? this.#lanes.values() : []) {
            if (!turn)
                continue;
            const due = leftAt + intervalMs;
            at = Math.min(at, turn.call.deadline, isOnline && due > this.#seenAt ? due : never);
        }
        return at;
    }
    #take(matches) {
        const taken = [...this.#gaveWay].filter(([call, turn]) => matches(call, turn)).map(([call]) => call);
        for (const call of taken)
            this.#gaveWay.delete(call);
        return taken;
    }
    #end(lane) {
        this.#bytes -= lane.turn?.call.bytes ?? 0;
        this.#waiting -= 1;
        lane.turn = undefined;
    }
    /** Forgets when that was last written which has been left alone for the longest. */
    #forget() {
        const [idle] = [...this.#lanes].find(([, { turn }]) => !turn) ?? [""];
        this.#lanes.delete(idle);
    }
}
