import fastJsonPatch from "fast-json-patch";
import * as rfc6902 from "rfc6902";
import { expect, test } from "vitest";
import { CodeError } from "../../src/errors.js";
import { applyPatch, type PatchOperation } from "../../src/patch.js";
import { freeze, type Json, Random, text } from "./json.js";
import { type Apply, libraries } from "./libraries.js";

const diffs: Record<string, (old: Json, now: Json) => readonly PatchOperation[]> = {
  "fast-json-patch": (old, now) => fastJsonPatch.compare({ root: old }, { root: now }) as PatchOperation[],
  rfc6902: (old, now) => rfc6902.createPatch({ root: old }, { root: now }) as PatchOperation[],
};

/** How many cases a test tries: `MESH_PATCH_CASES`, or what takes a few seconds. */
const count = Number(process.env.MESH_PATCH_CASES ?? 5_000);
const timeout = 5_000 + count;

test.each(Object.keys(diffs))(
  "patches of %s make the new value of the old one",
  (name) => {
    for (let seed = 0; seed < count; seed += 1) {
      const random = new Random(seed);
      const old = random.value(4);
      let now = old;
      for (let edits = random.below(4); edits >= 0; edits -= 1) now = random.edit(now);
      const patch = freeze(diffs[name]?.(old, now) ?? []);
      const told = `seed ${seed}: ${text({ old, now, patch })}`;
      expect(text(applyPatch(freeze({ root: old }), patch)), told).toBe(text({ root: now }));
    }
  },
  timeout,
);

/** What others do otherwise, by rules that are written down at `applyPatch`, or by mistake: whatever meets the root. */
function isKnownToDiffer(patch: readonly PatchOperation[]): boolean {
  return patch.some((operation) => {
    const { op, path } = operation;
    if ("from" in operation && (path === "" || operation.from === "")) return true;
    if (op !== "move") return op === "remove" && path === "";
    // One of them finds the new place before it removes the item that stood before it in a list on the way.
    const parent = operation.from.slice(0, operation.from.lastIndexOf("/") + 1);
    const isInside = path.startsWith(parent) && path.slice(parent.length).includes("/");
    return isInside || path.startsWith(operation.from);
  });
}

test(
  "what applies gives what it gives in three libraries, and what is missing is missing in one of them",
  () => {
    let [applied, refused] = [0, 0];
    for (let seed = 0; seed < count; seed += 1) {
      const random = new Random(seed);
      const document = freeze(random.value(4));
      const patch = freeze(random.operations(document));
      if (isKnownToDiffer(patch)) continue;
      const attempt = (apply: Apply): string => {
        try {
          return text(apply(document, patch));
        } catch (error) {
          return error instanceof CodeError ? error.message : "refused";
        }
      };
      const told = `seed ${seed}: ${text({ document, patch })}`;
      const ours = attempt(applyPatch);
      const theirs = Object.values(libraries).map(attempt);
      // An index such as `01`, or `99` for a copy, is none to us alone: the cases by hand are about those.
      if (ours.endsWith("no index of that list")) continue;
      // And one of them never gives an object a member of this name.
      if (ours.includes('"-":')) continue;
      if (ours.startsWith("Operation")) expect(theirs, told).toContain("refused");
      else expect(theirs, told).toEqual([ours, ours, ours]);
      if (ours.startsWith("Operation")) refused += 1;
      else applied += 1;
    }
    expect(Math.min(applied, refused)).toBeGreaterThan(count / 20);
  },
  timeout,
);
