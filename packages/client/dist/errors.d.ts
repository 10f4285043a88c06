/** An error with a `code` to match on. Everything this client rejects with is one. */
export declare class CodeError extends Error {
    /** What went wrong, for programs. */
    readonly code: string;
    /** Whether the same call may succeed later. It doesn't say that the first one had no effect. */
    readonly retryable: boolean;
    /** What belongs to the code, if anything. */
    readonly details: unknown;
    /**
     * Of a call that ended without an answer: whether it was sent. One that was not has had no effect; of one that was,
     * nobody here knows.
     */
    readonly sent: boolean | undefined;
    constructor(message: string, code: string, name?: string, more?: ErrorParts);
}
/** What a {@link CodeError} may tell beside its message and its code. */
export interface ErrorParts {
    readonly retryable?: boolean;
    readonly details?: unknown;
    readonly sent?: boolean;
}
/** The connection could not be made. The name and the code are the origin's. */
export declare function connectionError(details?: unknown): CodeError;
/** A call's time ran out. The name and the code are the origin's. */
export declare function timeoutError(ms: number, sent: boolean): CodeError;
/** The socket closed between a command and its answer, or there was none to send it over. */
export declare function disconnectedError(sent: boolean, retryable?: boolean): CodeError;
/** The application closed this client. */
export declare function closedError(): CodeError;
/** A room could not be joined again after a reconnect: the server's error, with the room it is about. */
export declare function rejoinError(roomName: string, { message, code, name, retryable }: CodeError): CodeError;
/** Too much waits here already. */
export declare function queueFullError(): CodeError;
/** What is volatile is not kept for later. */
export declare function droppedError(): CodeError;
/** The frame would cost the connection (1009), and with it every other call. */
export declare function tooLargeError(bytesMax: number): CodeError;
/** Whatever was thrown, as a `CodeError`. */
export declare function asCodeError(thrown: unknown, code: string, retryable?: boolean): CodeError;
