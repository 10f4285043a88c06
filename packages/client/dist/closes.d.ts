/** What a client does about a close: try again, fetch a credential and try once more, or stop. */
export type CloseClass = "retry" | "refresh" | "give_up";
/** The class of a close code: by the table, and of a code it lacks, by its band. */
export declare function closeClass(code: number): CloseClass;
/** The error code by which an application learns of a close: the table's word, else the server's. */
export declare function closeName(code: number, reason: string): string;
