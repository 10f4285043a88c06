import "./canary.js";
import { expect, test } from "vitest";
import { applyPatch, type PatchOperation } from "../../src/patch.js";
import { cases, diffs, holds, type Json, text } from "./json.js";

interface Case {
  comment?: string;
  doc: Json;
  patch?: PatchOperation[];
  expected?: Json;
  error?: string;
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
  let count = 0;
  for await (const line of diffs()) {
    if (!holds(line, applyPatch)) throw new Error(line);
    count += 1;
  }
  console.log(`${count} patches of the server`);
  expect(count).toBeGreaterThanOrEqual(300);
}, 3_600_000);
