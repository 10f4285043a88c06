/** An error with a `code` to match on. Everything this client rejects with is one. */
export class CodeError extends Error {
    /** What went wrong, for programs. */
    code;
    /** Whether the same call may succeed later. It doesn't say that the first one had no effect. */
    retryable;
    /** What belongs to the code, if anything. */
    details;
    /**
     * Of a call that ended without an answer: whether it was sent. One that was not has had no effect; of one that was,
     * nobody here knows.
     */
    sent;
    constructor(message, code, name = "CodeError", more = {}) {
        super(message);
        this.name = name;
        this.code = code;
        this.retryable = more.retryable ?? false;
        this.details = more.details;
        this.sent = more.sent;
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
export function timeoutError(ms, sent) {
    const message = `Command timed out after ${ms}ms.`;
    return new CodeError(message, "ETIMEOUT", "TimeoutError", { retryable: true, sent });
}
/** The socket closed between a command and its answer, or there was none to send it over. */
export function disconnectedError(sent, retryable = true) {
    const message = sent ? "The connection closed before the answer came" : "There is no connection";
    return new CodeError(message, "disconnected", "ConnectionError", { retryable, sent });
}
/** The application closed this client. */
export function closedError() {
    return new CodeError("The client is closed", "closed", "ConnectionError", { sent: false });
}
/** A room could not be joined again after a reconnect: the server's error, with the room it is about. */
export function rejoinError(roomName, { message, code, name, retryable }) {
    return new CodeError(message, code, name, { retryable, details: { roomName } });
}
/** Too much waits here already. */
export function queueFullError() {
    const message = "Too many commands wait to be sent";
    return new CodeError(message, "queue_full", "CodeError", { retryable: true, sent: false });
}
/** What is volatile is not kept for later. */
export function droppedError() {
    const message = "It was volatile, and could not be sent at once";
    return new CodeError(message, "dropped", "CodeError", { retryable: true, sent: false });
}
/** The frame would cost the connection (1009), and with it every other call. */
export function tooLargeError(bytesMax) {
    const message = `The message is larger than ${bytesMax} bytes`;
    return new CodeError(message, "too_large", "CodeError", { sent: false });
}
/** Whatever was thrown, as a `CodeError`. */
export function asCodeError(thrown, code, retryable = false) {
    if (thrown instanceof CodeError)
        return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new CodeError(message, code, "CodeError", { retryable, details: thrown });
}
