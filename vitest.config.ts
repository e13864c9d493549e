import type { ViteUserConfig } from "vitest/config";
import { limit } from "./test/support/limits.ts";

/** Scales the limits that tests set for themselves, at the end of `test(…)` and its relatives and as `timeout`. */
const scaledLimits = {
  name: "scaled-limits",
  transform(code: string, id: string): string | undefined {
    if (!id.endsWith(".test.ts")) return undefined;
    const scaled = (_: string, before: string, limited: string, after: string): string =>
      before + limit(Number(limited.replaceAll("_", ""))) + after;
    return code
      .replace(/^(\s*\}, )(\d[\d_]{4,})(\);)$/gm, scaled)
      .replace(/^(\s+)(\d[\d_]{4,})(,\n\s*\);)$/gm, scaled)
      .replace(/(\btest\w*\(.*, )(\d[\d_]{4,})(\);)$/gm, scaled)
      .replace(/(\b(?:timeout|testTimeout): )(\d[\d_]{4,})()\b/g, scaled);
  },
};

const config: ViteUserConfig = {
  plugins: [{ ...scaledLimits, enforce: "pre" }],
  test: {
    include: ["test/**/*.test.ts"],
    // Native add-ons are safe in processes, not in threads.
    pool: "forks",
    globalSetup: ["test/support/scratch.ts"],
    setupFiles: ["test/support/coverage.ts"],
    testTimeout: limit(30_000),
    hookTimeout: limit(30_000),
    server: { deps: { external: [/\/dist\//] } },
  },
};

export default config;
