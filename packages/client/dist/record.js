import { between, isOld, parsePosition } from "./positions.js";
import { Topic } from "./topic.js";
/** A record: each version after the last one, or a newer value. */
export class RecordTopic extends Topic {
    kind = "record";
    /** Kept only where somebody tracks it. */
    #value;
    get about() {
        return { recordId: this.name };
    }
    /** Each new callback begins with the value, which nobody here keeps. */
    add(...args) {
        this.stale = true;
        return super.add(...args);
    }
    wishes() {
        // Who wants patches is also content with values.
        const patches = this.listeners.every(({ options }) => options.mode === "patch");
        return { ...(patches ? { mode: "patch" } : {}), ...super.wishes() };
    }
    from(resumes) {
        const known = resumes && this.waits.length === 0 && this.position;
        return { body: known ? { after: this.position } : {}, limit: 0 };
    }
    also() { }
    subscribed(_op, answer) {
        this.on = true;
        this.interrupted = false;
        // Who came while the answer was on its way is still waiting.
        this.stale = answer.unchanged === true && this.waits.length > 0;
        if (answer.unchanged === true)
            return;
        const version = typeof answer.version === "number" ? answer.version : 0;
        const last = this.position;
        const position = parsePosition({ ...answer, offset: version });
        const full = answer.record ?? null;
        const update = { full, version, ...(answer.deleted === true ? { deleted: true } : {}) };
        const distance = between(last, position);
        const isSame = last === position || (distance === -1 && last?.tag === position?.tag);
        if (!isSame && (distance ?? 0) >= -1)
            this.#hand(update, position, full);
        this.#value = this.#tracker && full;
        for (const wait of this.waits) {
            const { listener } = wait;
            if (!listener.served)
                this.#tell(listener, update);
            this.serve(wait, { success: true, record: full, version });
        }
    }
    handle({ full, patch, from, version, epoch, tag, deleted, txn }) {
        const position = parsePosition({ epoch, offset: version, tag });
        if (!position || isOld(this.position, position))
            return;
        const by = typeof txn === "string" ? { txn, own: this.surroundings.txns.owns(txn) } : {};
        if (!Array.isArray(patch)) {
            const update = { full: full ?? null, version, ...(deleted === true ? { deleted } : {}), ...by };
            return this.#hand(update, position, full ?? null);
        }
        const last = this.position ?? { epoch, offset: 0 };
        this.stale ||= last.epoch !== epoch || last.offset !== from;
        let value;
        try {
            if (!this.stale)
                value = this.#tracker?.(this.#value, patch);
        }
        catch {
            this.stale = true;
        }
        if (!this.stale)
            this.#hand({ patch, version, ...by }, position, value);
    }
    #hand(update, position, value) {
        this.position = position;
        this.#value = this.#tracker && value;
        for (const listener of this.listeners)
            if (listener.served)
                this.#tell(listener, update);
    }
    #tell(listener, update) {
        const { echo, track } = listener.options;
        if (update.own === true && echo === false)
            return;
        const value = track ? { value: this.#value } : {};
        this.call(listener, listener.callback, { recordId: this.name, ...update, ...value });
    }
    get #tracker() {
        return this.listeners.find(({ options }) => options.track)?.options.track;
    }
}
