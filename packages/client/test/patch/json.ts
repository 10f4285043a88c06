import { createReadStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { PatchOperation } from "../../src/patch.js";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** A file of cases that the server checks as well. */
export function cases<T>(name: string): T[] {
  const text = readFileSync(new URL(`../../../../protocol/patches/${name}`, import.meta.url), "utf8");
  return freeze(JSON.parse(text) as T[]);
}

/** What the server says changed between two values. */
export interface Diff {
  old: Json;
  patch: PatchOperation[];
  new: Json;
}

/**
 * Diffs of the server, each as JSON: those that `patch_random` of mesh-proto has written to `MESH_PATCH_LINES`, or the
 * few hundred of `diffs.json`.
 */
export async function* diffs(): AsyncGenerator<string> {
  const path =
    process.env.MESH_PATCH_LINES ?? new URL("../../../../protocol/patches/diffs.json", import.meta.url);
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (line.startsWith("{")) yield line.replace(/,$/, "");
  }
}

/** Whether `apply` makes of the old value what it has become. A call of `expect` is too slow for a million of them. */
export function holds(line: string, apply: (old: Json, patch: PatchOperation[]) => unknown): boolean {
  const diff = freeze(JSON.parse(line) as Diff);
  return text(apply(diff.old, diff.patch)) === text(diff.new);
}

/** A value as text that is the same for equal values: members in order, `__proto__` among them. */
export function text(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(text).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${text(inner)}`);
  return `{${members.sort().join()}}`;
}

/** The same value, which throws where somebody changes it. */
export function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  }
  return value;
}

export function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** Random documents, edits and operations: the same for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number below `n`, by mulberry32. */
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let z = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return Math.floor((((z ^ (z >>> 14)) >>> 0) / 2 ** 32) * n);
  }

  pick<T>(of: readonly T[]): T {
    return of[this.below(of.length)] as T;
  }

  value(depth: number): Json {
    const kind = depth === 0 ? 9 : this.below(10);
    if (kind < 3) return Array.from({ length: this.below(5) }, () => this.value(depth - 1));
    if (kind < 6) {
      const members = Array.from({ length: this.below(5) }, () => [this.pick(names), this.value(depth - 1)]);
      return Object.fromEntries(members) as Json;
    }
    return this.pick<Json>([null, true, false, 0, 1, 1.5, -7, 2 ** 53, "", "a", "é\n😀", this.below(100)]);
  }

  /** The value with something changed, somewhere. */
  edit(value: Json): Json {
    const goesOn = this.below(4) > 0;
    if (Array.isArray(value)) {
      const list = [...value];
      const at = this.below(list.length + 1);
      if (goesOn && at < list.length) list[at] = this.edit(list[at] as Json);
      else list.splice(at, this.below(3), ...Array.from({ length: this.below(3) }, () => this.value(1)));
      return list;
    }
    if (typeof value === "object" && value !== null) {
      const members = Object.entries(value);
      const at = this.below(members.length + 1);
      const [name, inner] = members[at] ?? [this.pick(names), this.value(2)];
      if (!goesOn && members.length > 0) members.splice(at, 1);
      else members[at] = [name, this.edit(inner)];
      return Object.fromEntries(members);
    }
    return this.value(2);
  }

  /** Some operations, of which most apply. */
  operations(document: Json): PatchOperation[] {
    return Array.from({ length: 1 + this.below(4) }, () => {
      const [path, from, value] = [this.path(document), this.path(document), this.value(1)];
      const op = this.pick(["add", "remove", "replace", "move", "copy", "test"] as const);
      if (op === "remove") return { op, path };
      return op === "move" || op === "copy" ? { op, from, path } : { op, path, value };
    });
  }

  /** Where something is in the document, or nearly. */
  path(document: Json): string {
    let path = "";
    let value: Json | undefined = document;
    while (typeof value === "object" && value !== null && this.below(4) > 0) {
      const inner: string[] = Object.keys(value);
      const other: string = this.pick(Array.isArray(value) ? indexes : names);
      const name: string = inner.length > 0 && this.below(8) > 0 ? this.pick(inner) : other;
      path += `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      value = Object.hasOwn(value, name) ? (value as { [name: string]: Json })[name] : undefined;
    }
    return path;
  }
}

const indexes = ["-", "0", "1", "01", "", "x", "1e0", "99"];
// Not `__proto__`, `constructor` and `-`, which other libraries refuse or stumble over.
const names = ["id", "name", "x", "", "0", "1", "01", "a/b", "~1", "é"];
