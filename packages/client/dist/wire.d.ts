import { CodeError } from "./errors.js";
/** One frame from the server, parsed as far as everybody needs it. */
export interface Frame {
    /** Of an answer: the id of the command. A push has none. */
    readonly id?: unknown;
    /** The name of the command or of the push. */
    readonly command: string;
    /** The answer or the push itself. */
    readonly payload: unknown;
    /** Of a failed command. */
    readonly error?: CodeError;
}
/** Reads a frame, or answers `undefined` for what is none, which is ignored. */
export declare function parseFrame(text: string): Frame | undefined;
/** Reads what the server says went wrong. */
export declare function parseError(error: Readonly<Record<string, unknown>>): CodeError;
/** Writes a command. The payload is JSON already, so that what is queued is what was meant at the call. */
export declare function writeCommand(id: number, command: string, body: string | undefined): string;
/** The answer to a ping. */
export declare const pongText = "{\"command\":\"pong\",\"payload\":{}}";
/** The answer to a request for latency. */
export declare const latencyText = "{\"command\":\"latency:response\",\"payload\":{}}";
/** Whether the protocol keeps this name for itself, so that no application hears it as a push. */
export declare function isReserved(name: string): boolean;
/** Whether a push is about a channel or a record. */
export declare function isTopic(name: string): boolean;
/** Whether a value is a JSON object. */
export declare function isObject(value: unknown): value is Record<string, unknown>;
/** How many bytes a text takes on the wire. */
export declare function byteLength(text: string): number;
