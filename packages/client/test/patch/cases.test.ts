import "./canary.js";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { applyPatch, type PatchOperation } from "../../src/patch.js";
import { cases, freeze, type Json, text } from "./json.js";

interface Case {
  comment?: string;
  doc: Json;
  patch?: PatchOperation[];
  expected?: Json;
  error?: string;
}

interface Diff {
  old: Json;
  patch: PatchOperation[];
  new: Json;
}

// Left out, as there: an operation with a member given twice, of which the last one counts here.
const leftOut = ["A.13 Invalid JSON Patch Document", "duplicate ops"];

test.each([
  ["rfc6902/spec_tests.json", 16],
  ["rfc6902/tests.json", 77],
  ["apply.json", 261],
])("the cases in %s hold, and leave the document and the patch as they are", (name, count) => {
  const checked = cases<Case>(name).filter(
    ({ patch, comment = "" }) => patch !== undefined && !leftOut.includes(comment),
  );
  expect(checked.length).toBe(count);
  for (const { doc, patch = [], error, expected = doc, ...rest } of checked) {
    const told = text({ doc, patch, ...rest });
    if (error === undefined) expect(text(applyPatch(doc, patch)), told).toBe(text(expected));
    else expect(() => applyPatch(doc, patch), told).toThrow(/patch/);
  }
});

test("patches of the server make the new value of the old one, and leave the old one as it is", async () => {
  // `MESH_PATCH_LINES=path`: as many more as `patch_random` of mesh-proto has written there.
  const path =
    process.env.MESH_PATCH_LINES ?? new URL("../../../../protocol/patches/diffs.json", import.meta.url);
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (!line.startsWith("{")) continue;
    const diff = freeze(JSON.parse(line.replace(/,$/, "")) as Diff);
    // A call of `expect` is too slow for a million of them.
    if (text(applyPatch(diff.old, diff.patch)) !== text(diff.new)) throw new Error(line);
    count += 1;
  }
  console.log(`${count} patches of the server`);
  expect(count).toBeGreaterThanOrEqual(300);
}, 3_600_000);
