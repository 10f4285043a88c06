/** The marks of this client's writes, by which it knows their echoes. */
export class Txns {
    #prefix;
    #count = 0;
    constructor(random) {
        // 64 bits, since the marks of all clients of a channel meet there.
        const part = () => Math.floor(random() * 2 ** 32).toString(36);
        this.#prefix = `${part()}${part()}-`;
    }
    /** A mark for one write. */
    next() {
        this.#count += 1;
        return this.#prefix + this.#count;
    }
    /** Whether a mark is one of ours. */
    owns(txn) {
        return typeof txn === "string" && txn.startsWith(this.#prefix);
    }
}
