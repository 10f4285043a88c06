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
export function parseFrame(text: string): Frame | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { id, command, payload = null, error } = value;
  const name = typeof command === "string" ? command : "";
  if (id === undefined) return name ? { command: name, payload } : undefined;
  return isObject(error)
    ? { id, command: name, payload, error: parseError(error) }
    : { id, command: name, payload };
}

/** Reads what the server says went wrong. */
export function parseError(error: Readonly<Record<string, unknown>>): CodeError {
  const code = typeof error.code === "string" ? error.code : "internal";
  const message = typeof error.message === "string" ? error.message : code;
  return new CodeError(message, code, "CodeError", {
    retryable: error.retryable === true,
    details: error.details,
  });
}

/** Writes a command. The payload is JSON already, so that what is queued is what was meant at the call. */
export function writeCommand(id: number, command: string, body: string | undefined): string {
  const payload = body === undefined ? "" : `,"payload":${body}`;
  return `{"id":${id},"command":${JSON.stringify(command)}${payload}}`;
}

/** The answer to a ping. */
export const pongText = '{"command":"pong","payload":{}}';
/** The answer to a request for latency. */
export const latencyText = '{"command":"latency:response","payload":{}}';

/** Whether the protocol keeps this name for itself, so that no application hears it as a push. */
export function isReserved(name: string): boolean {
  return name.startsWith("mesh/") || reserved.has(name);
}

/** Whether a push is about a channel or a record. */
export function isTopic(name: string): boolean {
  return topics.has(name);
}

const topics: ReadonlySet<string> = new Set([
  "mesh/subscription-message",
  "mesh/channel-gap",
  "mesh/record-update",
  "mesh/record-updates",
  "mesh/subscription-ended",
]);

const reserved: ReadonlySet<string> = new Set([
  "ping",
  "pong",
  "latency",
  "latency:request",
  "latency:response",
]);

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** How many bytes a text takes on the wire. */
export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

const encoder: TextEncoder = /* @__PURE__ */ new TextEncoder();
