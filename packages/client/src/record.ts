import type { PatchOperation } from "./patch.js";
import { between, isOld, type Position, parsePosition } from "./positions.js";
import { type Listener, type Op, type Payload, type SubscribeOptions, Topic, type Wait } from "./topic.js";

/** What a record's callback is told: a new value, or a patch that makes it of the last one. */
export interface RecordUpdate<T = unknown> {
  readonly recordId: string;
  /** The value; there is none where there is a patch. */
  readonly full?: T | undefined;
  /** What changed since the version before. */
  readonly patch?: readonly PatchOperation[] | undefined;
  /** Where the subscription has `track`: the value, by whatever way it came. Treat it as constant. */
  readonly value?: T | undefined;
  /** Grows with each change. */
  readonly version: number;
  /** The record was deleted; `full` is null. The subscription goes on. */
  readonly deleted?: boolean | undefined;
  /** Whether this client wrote it. */
  readonly own?: boolean | undefined;
  /** The mark of who wrote it. */
  readonly txn?: string | undefined;
}

/** How to subscribe to a record. */
export interface RecordOptions extends SubscribeOptions {
  /** `full`, the default: whole values. `patch`: what changed, where that is smaller. */
  readonly mode?: "full" | "patch" | undefined;
  /**
   * Keeps the value, so that each update has it as `value`: give `applyPatch` of `@mesh/client/patch`. Without, the
   * client keeps no values.
   */
  readonly track?: (<T>(value: T, patch: readonly PatchOperation[]) => T) | undefined;
}

/** A record: each version after the last one, or a newer value. */
export class RecordTopic extends Topic {
  readonly kind = "record";
  /** Kept only where somebody tracks it. */
  #value: unknown;

  get about(): Payload {
    return { recordId: this.name };
  }

  /** Each new callback begins with the value, which nobody here keeps. */
  override add(...args: Parameters<Topic["add"]>): Wait {
    this.stale = true;
    return super.add(...args);
  }

  protected override wishes(): Payload {
    // Who wants patches is also content with values.
    const patches = this.listeners.every(({ options }) => options.mode === "patch");
    return { ...(patches ? { mode: "patch" } : {}), ...super.wishes() };
  }

  protected from(resumes: boolean): { body: Payload; limit: number } {
    const known = resumes && this.waits.length === 0 && this.position;
    return { body: known ? { after: this.position } : {}, limit: 0 };
  }

  protected also(): undefined {}

  protected subscribed(_op: Op, answer: Payload): void {
    this.on = true;
    this.interrupted = false;
    // Who came while the answer was on its way is still waiting.
    this.stale = answer.unchanged === true && this.waits.length > 0;
    if (answer.unchanged === true) return;
    const version = typeof answer.version === "number" ? answer.version : 0;
    const last = this.position;
    const position = parsePosition({ ...answer, offset: version });
    const full = answer.record ?? null;
    const update = { full, version, ...(answer.deleted === true ? { deleted: true } : {}) };
    const distance = between(last, position);
    const isSame = last === position || (distance === -1 && last?.tag === position?.tag);
    if (!isSame && (distance ?? 0) >= -1) this.#hand(update, position, full);
    this.#value = this.#tracker && full;
    for (const wait of this.waits) {
      const { listener } = wait;
      if (!listener.served) this.#tell(listener, update);
      this.serve(wait, { success: true, record: full, version });
    }
  }

  protected handle({ full, patch, from, version, epoch, tag, deleted, txn }: Payload): void {
    const position = parsePosition({ epoch, offset: version, tag });
    if (!position || isOld(this.position, position)) return;
    const by = typeof txn === "string" ? { txn, own: this.surroundings.txns.owns(txn) } : {};
    if (!Array.isArray(patch)) {
      const update = { full: full ?? null, version, ...(deleted === true ? { deleted } : {}), ...by };
      return this.#hand(update, position, full ?? null);
    }
    const last = this.position ?? { epoch, offset: 0 };
    this.stale ||= last.epoch !== epoch || last.offset !== from;
    let value: unknown;
    try {
      if (!this.stale) value = this.#tracker?.(this.#value, patch);
    } catch {
      this.stale = true;
    }
    if (!this.stale) this.#hand({ patch, version, ...by }, position, value);
  }

  #hand(update: Payload, position: Position | undefined, value: unknown): void {
    this.position = position;
    this.#value = this.#tracker && value;
    for (const listener of this.listeners) if (listener.served) this.#tell(listener, update);
  }

  #tell(listener: Listener, update: Payload): void {
    const { echo, track } = listener.options;
    if (update.own === true && echo === false) return;
    const value = track ? { value: this.#value } : {};
    this.call(listener, listener.callback, { recordId: this.name, ...update, ...value });
  }

  get #tracker(): RecordOptions["track"] {
    return this.listeners.find(({ options }) => options.track)?.options.track;
  }
}
