import { CodeError } from "./errors.js";
/** What a client does about a close: try again, fetch a credential and try once more, or stop. */
export type CloseClass = "retry" | "refresh" | "give_up";
/** The class of a close code: by the table, and of a code it lacks, by its band. */
export declare function closeClass(code: number): CloseClass;
/**
 * The error by which an application learns of a close. Its code is the table's word, else the server's; of a connection that
 * may come back, it is the origin's `ECONNECTION`.
 */
export declare function closeError(code: number, reason: string): CodeError;
