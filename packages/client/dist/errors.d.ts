/** An error with a `code` to match on. Everything this client rejects with is one. */
export declare class CodeError extends Error {
    /** What went wrong, for programs. */
    readonly code: string;
    /** Whether the same call may succeed later. It doesn't say that the first one had no effect. */
    readonly retryable: boolean;
    /** What belongs to the code, if anything. */
    readonly details: unknown;
    constructor(message: string, code: string, name?: string, more?: {
        readonly retryable?: boolean;
        readonly details?: unknown;
    });
}
/** The connection could not be made. The name and the code are the origin's. */
export declare function connectionError(details?: unknown): CodeError;
/** A call's time ran out. The name and the code are the origin's. */
export declare function timeoutError(ms: number): CodeError;
/** The socket closed between a command and its answer, so nobody here knows whether it took effect. */
export declare function disconnectedError(): CodeError;
/** The application closed this client. */
export declare function closedError(): CodeError;
/** Whatever was thrown, as a `CodeError`. */
export declare function asCodeError(thrown: unknown, code: string): CodeError;
