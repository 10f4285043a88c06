/** An error with a `code` to match on. Everything this client rejects with is one. */
export class CodeError extends Error {
    /** What went wrong, for programs. */
    code;
    /** Whether the same call may succeed later. It doesn't say that the first one had no effect. */
    retryable;
    /** What belongs to the code, if anything. */
    details;
    constructor(message, code, name = "CodeError", more = {}) {
        super(message);
        this.name = name;
        this.code = code;
        this.retryable = more.retryable ?? false;
        this.details = more.details;
    }
}
/** The connection could not be made. The name and the code are the origin's. */
export function connectionError(details) {
    return new CodeError("WebSocket connection error", "ECONNECTION", "ConnectionError", {
        retryable: true,
        details,
    });
}
/** A call's time ran out. The name and the code are the origin's. */
export function timeoutError(ms) {
    return new CodeError(`Command timed out after ${ms}ms.`, "ETIMEOUT", "TimeoutError", { retryable: true });
}
/** The socket closed between a command and its answer, so nobody here knows whether it took effect. */
export function disconnectedError() {
    return new CodeError("The connection closed before the answer came", "disconnected", "ConnectionError", {
        retryable: true,
    });
}
/** The application closed this client. */
export function closedError() {
    return new CodeError("The client is closed", "closed", "ConnectionError");
}
/** Whatever was thrown, as a `CodeError`. */
export function asCodeError(thrown, code) {
    if (thrown instanceof CodeError)
        return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new CodeError(message, code, "CodeError", { details: thrown });
}
