import "./canary.js";
import { expect, test } from "vitest";
import { applyPatch, type PatchOperation, patchInPlace } from "../../src/patch.js";
import { copy, freeze, text } from "./json.js";

/** A document of which nothing may change. */
function document(): { a: { b: number[]; c: object }; d: object[]; e: string } {
  return freeze({ a: { b: [1, 2], c: {} }, d: [{ x: 1 }, { x: 2 }], e: "text" });
}

const replace = (path: string, value: unknown): PatchOperation => ({ op: "replace", path, value });

test("what did not change is shared, and what did is new", () => {
  const old = document();
  const now = applyPatch(old, [
    replace("/a/b/0", 3),
    replace("/a/b/1", 4),
    { op: "add", path: "/f", value: 1 },
  ]);
  expect(now).toEqual({ ...old, a: { b: [3, 4], c: {} }, f: 1 });
  expect(now).not.toBe(old);
  expect(now.a).not.toBe(old.a);
  expect(now.a.b).not.toBe(old.a.b);
  expect(now.a.c).toBe(old.a.c);
  expect(now.d).toBe(old.d);
});

test("items that only moved in their list are shared", () => {
  const old = document();
  const now = applyPatch(old, [{ op: "remove", path: "/d/0" }]);
  expect(now.d).toEqual([{ x: 2 }]);
  expect(now.d[0]).toBe(old.d[1]);
  expect(now.a).toBe(old.a);
});

test("a patch that changes nothing gives the document itself", () => {
  const old = document();
  const operations: PatchOperation[] = [
    { op: "test", path: "/e", value: "text" },
    { op: "move", from: "/a", path: "/a" },
  ];
  expect(applyPatch(old, [])).toBe(old);
  expect(applyPatch(old, operations)).toBe(old);
});

test("a patch that fails leaves everything as it was", () => {
  const old = copy(document());
  const before = text(old);
  const patch = [replace("/e", 1), { op: "remove", path: "/a/b/0" } as const, replace("/missing", 1)];
  expect(() => applyPatch(old, patch)).toThrow("Operation 2 of the patch: nothing is there");
  expect(() => patchInPlace(old, patch)).toThrow("Operation 2 of the patch: nothing is there");
  expect(text(old)).toBe(before);
});

test("an error has a code and names its operation", () => {
  const error = { name: "CodeError", code: "bad_patch", retryable: false };
  const failure = (patch: unknown): unknown => {
    try {
      return applyPatch<unknown>({}, patch as PatchOperation[]);
    } catch (thrown) {
      return thrown;
    }
  };
  expect(
    failure([
      { op: "add", path: "/a", value: 1 },
      { op: "remove", path: "/b" },
    ]),
  ).toMatchObject({
    ...error,
    details: { operation: 1 },
  });
  expect(failure("[]")).toMatchObject({ ...error, details: undefined });
});

test("values of a patch are never changed, so that two readers may share it", () => {
  const patch: PatchOperation[] = freeze([
    { op: "add", path: "/x", value: { list: [1] } },
    { op: "add", path: "/x/list/-", value: 2 },
    { op: "copy", from: "/x", path: "/y" },
    { op: "add", path: "/y/list/-", value: 3 },
  ]);
  const expected = { x: { list: [1, 2] }, y: { list: [1, 2, 3] } };
  expect(applyPatch<object>({}, patch)).toEqual(expected);
  const [one, other] = [{}, {}];
  patchInPlace(one, patch);
  patchInPlace(other, patch);
  expect([one, other]).toEqual([expected, expected]);
});

test("a document is an ordinary object whatever it holds", () => {
  const old = JSON.parse('{"__proto__":{"polluted":1},"toString":1,"a":{"__proto__":2}}');
  const now = applyPatch<Record<string, unknown>>(old, [
    { op: "add", path: "/constructor", value: { prototype: 1 } },
    replace("/toString", 2),
    replace("/__proto__/polluted", 2),
    { op: "add", path: "/a/hasOwnProperty", value: 3 },
  ]);
  expect(text(now)).toBe(
    '{"__proto__":{"polluted":2},"a":{"__proto__":2,"hasOwnProperty":3},"constructor":{"prototype":1},"toString":2}',
  );
  expect(Object.getPrototypeOf(now)).toBe(Object.prototype);
  expect(Object.keys(now).sort()).toEqual(["__proto__", "a", "constructor", "toString"]);
});

test("a document without a prototype survives", () => {
  const old = Object.assign(Object.create(null), { a: 1 });
  expect(text(applyPatch(old, [{ op: "add", path: "/__proto__", value: { polluted: 1 } }]))).toBe(
    '{"__proto__":{"polluted":1},"a":1}',
  );
});

test("an operation that inherits its members is none", () => {
  const inherited = Object.create({ op: "add", path: "/a", value: 1 });
  expect(() => applyPatch({}, [inherited])).toThrow("patch");
  const valueless = Object.assign(Object.create({ value: 1 }), { op: "add", path: "/a" });
  expect(() => applyPatch({}, [valueless])).toThrow("`value` is missing");
});

test("what is no JSON is not looked into", () => {
  const date = new Date();
  expect(() => applyPatch({ date }, [{ op: "remove", path: "/date/getTime" }])).toThrow("nothing is there");
  expect(() => applyPatch({ text: "abc" }, [replace("/text/0", "x")])).toThrow("nothing is there");
  expect(() => applyPatch({ call: () => 1 }, [replace("/call/name", "x")])).toThrow("nothing is there");
});

test("an index never makes a list longer than by one", () => {
  for (const name of ["4294967294", "1e9", "2", "length", "-1", "1.0", "01"]) {
    expect(() => applyPatch([1], [{ op: "add", path: `/${name}`, value: 1 }]), name).toThrow("no index");
  }
});

test("copies of copies are bounded", () => {
  const twice: PatchOperation = { op: "copy", from: "/a", path: "/a/-" };
  // The copies have 14, 29, 59, ... characters.
  const doubled = (times: number): unknown => applyPatch({ a: ["0123456789"] }, Array(times).fill(twice));
  expect(JSON.stringify(doubled(14)).length).toBe(14 * 2 ** 14 + 2 ** 14 - 1 + 6);
  expect(() => doubled(15)).toThrow("Operation 14 of the patch: the copies are too large");
  expect(() => doubled(1000)).toThrow("too large");
});

test("a thousand operations on a long list copy it once", () => {
  const list = Array.from({ length: 100_000 }, (_, at) => at);
  const patch: PatchOperation[] = Array.from({ length: 1000 }, (_, at) => replace(`/list/${at}`, -1));
  let copies = 0;
  const counted = {
    value: () => {
      copies += 1;
      return [...list];
    },
  };
  Object.defineProperty(list, "slice", counted);
  const now = applyPatch({ list }, patch);
  expect(now.list.slice(0, 1001).every((item, at) => item === (at < 1000 ? -1 : at))).toBe(true);
  expect(copies).toBe(1);
});

test("in place, the outermost object stays the same one, as in the origin's README", () => {
  const productData: Record<string, unknown> = { name: "x", price: 1, tags: ["a"], gone: 1 };
  const { tags } = productData;
  patchInPlace(productData, [
    replace("/price", 2),
    { op: "remove", path: "/gone" },
    { op: "add", path: "/tags/-", value: "b" },
    { op: "add", path: "/__proto__", value: { polluted: 1 } },
  ]);
  expect(text(productData)).toBe('{"__proto__":{"polluted":1},"name":"x","price":2,"tags":["a","b"]}');
  expect(tags).toEqual(["a"]);

  const list = [1, 2, 3];
  patchInPlace(list, [{ op: "remove", path: "/0" }]);
  expect(list).toEqual([2, 3]);
  patchInPlace(list, [{ op: "add", path: "/-", value: 4 }, replace("/0", 0)]);
  expect(list).toEqual([0, 3, 4]);
  patchInPlace(list, [replace("", [])]);
  expect(list).toEqual([]);
});

test("in place, a document can't become another kind of value", () => {
  const document = { a: 1 };
  for (const value of [null, 1, "x", []]) {
    expect(() => patchInPlace(document, [replace("/a", 2), replace("", value)])).toThrow("something else");
  }
  expect(document).toEqual({ a: 1 });
});
