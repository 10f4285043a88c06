import type { PatchOperation } from "./patch.js";
import { type Op, type Payload, type SubscribeOptions, Topic, type Wait } from "./topic.js";
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
export declare class RecordTopic extends Topic {
    #private;
    readonly kind = "record";
    get about(): Payload;
    /** Each new callback begins with the value, which nobody here keeps. */
    add(...args: Parameters<Topic["add"]>): Wait;
    protected wishes(): Payload;
    protected from(resumes: boolean): {
        body: Payload;
        limit: number;
    };
    protected also(): undefined;
    protected subscribed(_op: Op, answer: Payload): void;
    protected handle({ full, patch, from, version, epoch, tag, deleted, txn }: Payload): void;
}
