import { rmSync } from "node:fs";

// A file whose source is gone must not stay in what is committed.
rmSync(new URL("../dist", import.meta.url), { recursive: true, force: true });
