/** The marks of this client's writes, by which it knows their echoes. */
export declare class Txns {
    #private;
    constructor(random: () => number);
    /** A mark for one write. */
    next(): string;
    /** Whether a mark is one of ours. */
    owns(txn: unknown): boolean;
}
