import { afterEach, expect } from "vitest";

// What touches what all objects inherit throws at once, or is found after the test.
Object.freeze(Object.prototype);
Object.freeze(Array.prototype);

afterEach(() => {
  for (const value of [{}, [], "", () => {}]) {
    expect((value as unknown as Record<string, unknown>).polluted).toBeUndefined();
  }
});
