import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

// What a page downloads. The bound is a promise to users: a larger client fails the build. Without channels and records it was
// 7,466 bytes, with them 11,721: positions, order and the wishes of many callbacks outlive a connection here, so that no
// application has to see to that. With the rates of what is written it is 12,540. What applies patches is not in it.
const maxBytes = 12_600;
const bundle = readFileSync(new URL("../dist/mesh.min.js", import.meta.url));
const bytes = gzipSync(bundle, { level: 9 }).length;
console.log(`mesh.min.js: ${bundle.length} bytes, ${bytes} compressed, at most ${maxBytes}`);
if (bytes > maxBytes) process.exitCode = 1;
