import fastJsonPatch, { type Operation } from "fast-json-patch";
import { immutableJSONPatch, type JSONPatchDocument } from "immutable-json-patch";
import * as rfc6902 from "rfc6902";
import type { PatchOperation } from "../../src/patch.js";
import { copy, type Json } from "./json.js";

/** A library: what is a document after a patch? It throws where the patch does not apply. */
export type Apply = (document: Json, patch: readonly PatchOperation[]) => unknown;

export const libraries: Record<string, Apply> = {
  "fast-json-patch": (document, patch) =>
    fastJsonPatch.applyPatch(copy(document), copy(patch) as Operation[], true).newDocument,
  rfc6902: (document, patch) => {
    const root = { root: copy(document) };
    const moved = copy(patch).map((operation) => ({
      ...operation,
      path: `/root${operation.path}`,
      ...("from" in operation ? { from: `/root${operation.from}` } : {}),
    }));
    const error = rfc6902.applyPatch(root, moved as rfc6902.Operation[]).find((found) => found !== null);
    if (error) throw error;
    return root.root;
  },
  "immutable-json-patch": (document, patch) => immutableJSONPatch(document, patch as JSONPatchDocument),
};
