#!/usr/bin/env node
/**
 * Makes dist/bin/ of the built command line: few files in place of a thousand small ones, of which Node would open each before
 * a first answer. Packages that a start needs are in it, with their licences in LICENSES.txt; native and large ones stay
 * outside.
 *   node tools/bundle.mjs
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "dist/bin");
const inside = ["@bufbuild/protobuf", "commander", "csv-stringify", "fastest-levenshtein", "yaml", "zod"];
const isInside = (id) => inside.some((name) => id === name || id.startsWith(`${name}/`));

rmSync(folder, { recursive: true, force: true });
const bundle = await rolldown({
  cwd: root,
  input: { ptuning: "dist/cli/main.js" },
  platform: "node",
  external: (id) => !/^[./]/.test(id) && !isInside(id),
});
// In one folder, as deep as dist/cli: what is found from a file's own place is found from here.
const { output } = await bundle.write({
  dir: folder,
  format: "esm",
  sourcemap: true,
  chunkFileNames: "[name]-[hash].js",
});
await bundle.close();

const modules = output.flatMap(({ moduleIds = [] }) => moduleIds);
/** What a package's licence files say, or where it has none, the comments in what is taken of it; both stay whole. */
function licenceOf(name) {
  const place = join(root, "node_modules", name);
  const taken = modules.filter((id) => id.startsWith(`${place}/`));
  if (taken.length === 0) return [];
  const { version, license } = JSON.parse(readFileSync(join(place, "package.json"), "utf8"));
  const files = readdirSync(place).filter((file) => /^(licen[cs]e|notice)/i.test(file));
  const texts = files.map((file) => readFileSync(join(place, file), "utf8").trim());
  if (files.length === 0) {
    const comments = taken.flatMap(
      (id) => readFileSync(id, "utf8").match(/\/\*[\s\S]*?\*\/|(?:^ *\/\/.*\n)+/gm) ?? [],
    );
    texts.push(...new Set(comments.map((text) => text.trim()).filter((text) => /copyright/i.test(text))));
  }
  return [[`${name} ${version}, ${license}`, ...texts].join("\n\n")];
}
const head = "Packages inside this folder. The text of Apache-2.0 is in the LICENSE of ptuning.";
writeFileSync(
  join(folder, "LICENSES.txt"),
  `${[head, ...inside.flatMap(licenceOf)].join(`\n\n${"-".repeat(72)}\n\n`)}\n`,
);
