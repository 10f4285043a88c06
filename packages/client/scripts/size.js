import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

// What a page downloads. The bound is a promise to users: a larger client fails the build.
const maxBytes = 8_000;
const bundle = readFileSync(new URL("../dist/mesh.min.js", import.meta.url));
const bytes = gzipSync(bundle, { level: 9 }).length;
console.log(`mesh.min.js: ${bundle.length} bytes, ${bytes} compressed, at most ${maxBytes}`);
if (bytes > maxBytes) process.exitCode = 1;
