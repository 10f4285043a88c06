import { serverLimits } from "./calls.js";
import { asCodeError } from "./errors.js";
import { isObject } from "./wire.js";
/** Reads the answer to a hello. What it lacks is as if the server had the usual limits. */
export function parseHello(value) {
    const { connectionId, serverTime, limits } = isObject(value) ? value : {};
    const stated = isObject(limits) ? limits : {};
    const limit = (name, min) => {
        const number = stated[name];
        return typeof number === "number" && number >= min ? number : serverLimits[name];
    };
    return {
        connectionId: typeof connectionId === "string" ? connectionId : undefined,
        serverTime: typeof serverTime === "number" ? serverTime : undefined,
        limits: {
            messageBytes: limit("messageBytes", 1),
            inFlight: limit("inFlight", 1),
            waiting: limit("waiting", 0),
        },
    };
}
/** Reads the answer to a join. */
export function parseJoined(value) {
    const answer = isObject(value) ? value : {};
    const present = (Array.isArray(answer.present) ? answer.present : []).filter((id) => typeof id === "string");
    const count = typeof answer.count === "number" ? answer.count : present.length;
    return { success: answer.success === true, present, count, truncated: answer.truncated === true };
}
/** Reads the answer to a question for history. */
export function parseHistory(value) {
    const answer = isObject(value) ? value : {};
    const messages = Array.isArray(answer.messages) ? answer.messages : [];
    return { ...answer, success: true, messages, truncated: answer.truncated === true };
}
/** Reads the answer to a question for metadata. */
export function parseMetadata(value) {
    return isObject(value) ? (value.metadata ?? null) : null;
}
/** A refusal as a result. What is no error of ours is a reason that the application gave to `abort`. */
export function refused(error) {
    return { success: false, error: asCodeError(error, "cancelled") };
}
