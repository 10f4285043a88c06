/** Where an entry stands in its stream. */
export interface Position {
    /** The life of the stream: another one when its store was lost. */
    readonly epoch: string;
    /** Grows by one per entry; for a record it is the version. */
    readonly offset: number;
    /** The entry's own mark. */
    readonly tag: string;
}
/** Reads a position; `undefined` where there is none. */
export declare function parsePosition(value: Readonly<Record<string, unknown>>): Position | undefined;
/** How many entries stand between the two, -1 for the same one; `undefined` if they aren't of one life. */
export declare function between(last: Position | undefined, next: Position | undefined): number | undefined;
/** Whether what stands at `next` was handed out before, or what came after it. */
export declare function isOld(last: Position | undefined, next: Position): boolean;
