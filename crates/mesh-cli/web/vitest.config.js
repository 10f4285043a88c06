import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.js"],
    testTimeout: 60_000,
    // Before the first test the binary is built, which may be its first build.
    hookTimeout: 900_000,
  },
});
