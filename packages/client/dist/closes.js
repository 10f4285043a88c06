import { CodeError, connectionError } from "./errors.js";
// The standard codes that are not retried, and the names of our own. PROTOCOL.md holds the same table.
const table = new Map([
    [1000, ["give_up", "closed_by_server"]],
    [1002, ["give_up", "protocol_violation"]],
    [1007, ["give_up", "not_utf8"]],
    [1009, ["give_up", "too_large"]],
    [4100, ["refresh", "token_expired"]],
    [4200, ["give_up", "unauthorized"]],
    [4201, ["give_up", "disconnected"]],
    [4202, ["give_up", "bad_frames"]],
    [4203, ["give_up", "unsupported_version"]],
    [4204, ["give_up", "hello_expected"]],
]);
/** The class of a close code: by the table, and of a code it lacks, by its band. */
export function closeClass(code) {
    const known = table.get(code);
    if (known)
        return known[0];
    if (code >= 4100 && code <= 4199)
        return "refresh";
    if (code >= 4200 && code <= 4999)
        return "give_up";
    return "retry";
}
/**
 * The error by which an application learns of a close. Its code is the table's word, else the server's; of a connection that
 * may come back, it is the origin's `ECONNECTION`.
 */
export function closeError(code, reason) {
    const details = { code, reason };
    if (closeClass(code) === "retry")
        return connectionError(details);
    const name = table.get(code)?.[1] ?? (reason || `close_${code}`);
    return new CodeError(`The server closed the connection: ${name}`, name, "ConnectionError", { details });
}
