import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  build: {
    emptyOutDir: false,
    target: "es2022",
    lib: { entry: "src/index.ts", formats: ["es"], fileName: () => "mesh.min.js" },
    minify: true,
    reportCompressedSize: false,
    // For a module library vite keeps the white space, unless the bundler itself is asked.
    rolldownOptions: { output: { minify: true } },
  },
  test: { include: ["test/**/*.test.ts"], testTimeout: 5000 },
});

export default config;
