import type { Gap, MessageMeta, RecordUpdate } from "../src/index.js";
import { type FakeSocket, settle } from "./world.js";

export const epoch = "9b1f0c52d3a87e64";
export const otherEpoch = "0123456789abcdef";

export interface At {
  readonly epoch: string;
  readonly offset: number;
  readonly tag: string;
}

/** A position; the tag follows from the rest. */
export function at(offset: number, life: string = epoch): At {
  return { epoch: life, offset, tag: `${life.slice(0, 4)}${String(offset).padStart(4, "0")}` };
}

/** The messages from one offset to another, as an answer has them. */
export function entries(from: number, to: number, life: string = epoch): object[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => {
    const { offset, tag } = at(from + i, life);
    return { message: `m${offset}`, offset, tag };
  });
}

/** The answer to a subscription that gives those messages. */
export function messages(from: number, to: number, life: string = epoch): object {
  return { success: true, ...at(to, life), messages: entries(from, to, life) };
}

/** Pushes one message. */
export function push(socket: FakeSocket, channel: string, offset: number, more: object = {}): void {
  const payload = { channel, message: `m${offset}`, ...at(offset), ...more };
  socket.say({ command: "mesh/subscription-message", payload });
}

/** Pushes one message of a channel without history. */
export function pushPlain(socket: FakeSocket, channel: string, message: unknown, more: object = {}): void {
  socket.say({ command: "mesh/subscription-message", payload: { channel, message, ...more } });
}

/** Pushes one version of a record. */
export function update(
  socket: FakeSocket,
  recordId: string,
  version: number,
  what: object,
  life: string = epoch,
): void {
  const payload = { recordId, ...what, version, ...at(version, life) };
  socket.say({ command: "mesh/record-update", payload });
}

/** The answer to a question for a record. */
export function record(value: unknown, version: number, life: string = epoch): object {
  const { tag } = at(version, life);
  return { success: true, record: value, version, epoch: life, tag };
}

/** Answers the next command with an error. */
export async function refuse(socket: FakeSocket, code: string, retryable = false): Promise<void> {
  const { id, command } = socket.next();
  socket.say({ id, command, error: { code, message: code, retryable } });
  await settle();
}

/** What a callback of a channel was told. */
export class Heard {
  /** The messages, in order; a gap is its reason and how many are missed. */
  readonly all: unknown[] = [];
  readonly metas: MessageMeta[] = [];
  readonly callback = (message: unknown, meta: MessageMeta): void => {
    this.all.push(message);
    this.metas.push(meta);
  };
  readonly onGap = ({ reason, missed }: Gap): void => {
    this.all.push(missed === undefined ? `gap ${reason}` : `gap ${reason} ${missed}`);
  };
}

/** What a callback of a record was told. */
export class Updates {
  readonly all: RecordUpdate[] = [];
  readonly callback = (update: RecordUpdate): void => {
    this.all.push(update);
  };
}
