/** One operation of a JSON patch, after RFC 6902. */
export type PatchOperation = {
    readonly op: "add" | "replace" | "test";
    readonly path: string;
    readonly value: unknown;
} | {
    readonly op: "move" | "copy";
    readonly path: string;
    readonly from: string;
} | {
    readonly op: "remove";
    readonly path: string;
};
/**
 * What `document` is after the operations of `patch`, in order. The document itself is not touched, so an error leaves
 * nothing half done; the answer shares with it, and with the patch, whatever is the same, so treat all three as
 * constant. Where nothing changed, it is the document.
 *
 * The rules are those of the server, `mesh-proto` module `patch`: only own members are seen, numbers are equal where
 * their doubles are, and the copies of one patch add at most 256 Ki characters of JSON. What breaks them is thrown as a
 * {@link CodeError} with the code `bad_patch`, whose details name the `operation`, counted from 0.
 */
export declare function applyPatch<T>(document: T, patch: readonly PatchOperation[]): T;
/**
 * The same, but it is `document` that changes: all at once, or not at all. Its outermost object or list stays the same
 * one; the inner ones that changed are new.
 */
export declare function patchInPlace(document: object, patch: readonly PatchOperation[]): void;
