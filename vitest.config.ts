import type { ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = {
  test: {
    include: ["test/**/*.test.ts"],
    // Native add-ons are safe in processes, not in threads.
    pool: "forks",
    setupFiles: ["test/support/coverage.ts"],
    testTimeout: 30_000,
    server: { deps: { external: [/\/dist\//] } },
  },
};

export default config;
