/** The house rules that a machine can check: import law, file sizes, documented codes and exports, live links. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { errorCodes } from "ptuning/internal/core";
import { packageVersion } from "ptuning/internal/files";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { repository } from "../support/requirements.ts";

const source = join(repository, "src");
const architecture = readFileSync(join(repository, "ARCHITECTURE.md"), "utf8");
const listed = [
  ...architecture
    .split("<!-- folders -->")[1]!
    .split("<!-- /folders -->")[0]!
    .matchAll(/^\| `(\w+)\/` \|.*\| `(\S+)` \|$/gm),
].map(([, folder, start]) => ({ folder: folder!, start: start! }));
const order = listed.map(({ folder }) => folder);

function filesIn(folder: string, extension: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(extension))
    .map((file) => join(folder, file));
}

const sources = filesIn(source, ".ts");
/** Files through which other folders may be imported. */
const doors = ["index.ts", "portable.ts"];

describe("ARCHITECTURE.md", () => {
  test("lists every folder of src/", () => {
    const folders = readdirSync(source).filter((name) => statSync(join(source, name)).isDirectory());
    expect([...order].sort()).toEqual(folders.sort());
  });

  test("names files to start at that exist", () => {
    expect(listed.filter(({ folder, start }) => !existsSync(join(source, folder, start)))).toEqual([]);
  });
});

test("a folder imports only folders above it, through their doors", () => {
  const violations: string[] = [];
  for (const file of sources) {
    const own = relative(source, file).split("/")[0]!;
    for (const { fileName } of ts.preProcessFile(readFileSync(file, "utf8")).importedFiles) {
      if (!fileName.startsWith(".")) continue;
      const target = relative(source, resolve(dirname(file), fileName));
      const [folder, ...rest] = target.split("/");
      if (folder === own) continue;
      const isAbove = own === "index.ts" || order.indexOf(folder!) < order.indexOf(own);
      if (!isAbove || !doors.includes(rest.join("/")))
        violations.push(`${relative(source, file)} → ${target}`);
    }
  }
  expect(violations).toEqual([]);
});

describe("what runs without Node", () => {
  const entries = [
    ...architecture
      .split("<!-- portable -->")[1]!
      .split("<!-- /portable -->")[0]!
      .matchAll(/`(\w+\/[\w-]+)\.ts`/g),
  ].map(([, entry]) => `${entry}.js`);
  /** Written in JavaScript, for every platform. */
  const packages = [
    "zod",
    "@bufbuild/protobuf",
    "@bufbuild/protobuf/codegenv2",
    "@bufbuild/protobuf/wire",
    "@noble/hashes/sha2.js",
    "fastest-levenshtein",
  ];
  const { imports } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  const built = join(repository, "dist");

  /** What a built file imports, as another platform than Node finds it: paths, and names of packages. */
  function importsOf(file: string): string[] {
    return ts.preProcessFile(readFileSync(file, "utf8")).importedFiles.map(({ fileName }) => {
      if (fileName.startsWith("#")) return join(repository, imports[fileName].default);
      return fileName.startsWith(".") ? resolve(dirname(file), fileName) : fileName;
    });
  }

  /** What is not portable of the files that an entry leads to. */
  function violationsOf(entry: string): string[] {
    const violations: string[] = [];
    const files = new Set([join(built, entry)]);
    for (const file of files) {
      const code = readFileSync(file, "utf8").replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
      const [global] = /\bBuffer\b|(?<!globalThis\.)\bprocess\.|\b__dirname\b|\brequire\(/.exec(code) ?? [];
      if (global) violations.push(`${relative(built, file)}: ${global}`);
      for (const imported of importsOf(file)) {
        if (imported.startsWith(built)) files.add(imported);
        else if (!packages.includes(imported)) violations.push(`${relative(built, file)} → ${imported}`);
      }
    }
    return violations;
  }

  test("each folder down to train/ has a door that does", () => {
    const folders = order.slice(0, order.indexOf("train") + 1).filter((folder) => folder !== "baselines");
    expect(entries.map((entry) => entry.split("/")[0])).toEqual(folders);
    for (const entry of entries) {
      const door = join(source, dirname(entry), "portable.ts");
      expect(existsSync(door), entry).toBe(entry.endsWith("/portable.js"));
    }
  });

  test.each(entries)("%s", (entry) => {
    expect(violationsOf(entry)).toEqual([]);
  });

  test("is seen where it does not", () => {
    expect(violationsOf("files/index.js")).toContain("files/disk.js → node:fs");
    expect(violationsOf("text/index.js")).toContain("text/native.js → node:module");
    expect(violationsOf("text/index.js")).toContain("text/trust.js: process.");
  });

  test("is there for Node as well", async () => {
    for (const folder of entries.filter((entry) => entry.endsWith("/portable.js")).map(dirname)) {
      const [portable, all] = await Promise.all(
        ["portable", "index"].map((door): Promise<object> => import(join(built, folder, `${door}.js`))),
      );
      expect(Object.keys(all!), folder).toEqual(expect.arrayContaining(Object.keys(portable!)));
    }
  });
});

test("the version is that of package.json", () => {
  const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  expect(packageVersion()).toBe(version);
});

test("only engine/ imports a runtime", () => {
  const importing = sources.filter((file) =>
    /from "onnxruntime|import\("onnxruntime/.test(readFileSync(file, "utf8")),
  );
  expect(importing.map((file) => relative(source, file).split("/")[0])).toEqual(
    importing.map(() => "engine"),
  );
  expect(importing.length).toBeGreaterThan(0);
});

test("only cli/ prints", () => {
  const printing = sources.filter((file) =>
    /\bconsole\.|process\.std(out|err)/.test(readFileSync(file, "utf8").replace(/^ \*.*$/gm, "")),
  );
  expect(printing.map((file) => relative(source, file)).filter((file) => !file.startsWith("cli/"))).toEqual(
    [],
  );
});

test("files stay small", () => {
  const long = sources.filter(
    (file) => !file.endsWith("_pb.ts") && readFileSync(file, "utf8").split("\n").length > 401,
  );
  expect(long.map((file) => relative(source, file))).toEqual([]);
});

test("every error code is documented, and no other", () => {
  const documented = [
    ...readFileSync(join(repository, "docs/errors.md"), "utf8").matchAll(/^\| `([A-Z_]+)` \|/gm),
  ];
  expect(documented.map(([, code]) => code)).toEqual([...errorCodes].sort());
});

test("every public symbol has a doc comment", () => {
  const indexes = [
    join(source, "index.ts"),
    ...order.map((folder) => join(source, folder, "index.ts")),
  ].filter(existsSync);
  const program = ts.createProgram(indexes, {
    module: ts.ModuleKind.NodeNext,
    allowImportingTsExtensions: true,
    noEmit: true,
  });
  const checker = program.getTypeChecker();
  const undocumented: string[] = [];
  for (const index of indexes) {
    const file = program.getSourceFile(index)!;
    for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(file)!)) {
      const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      if (target.getDocumentationComment(checker).length === 0)
        undocumented.push(`${relative(source, index)}: ${symbol.name}`);
    }
  }
  expect(undocumented).toEqual([]);
}, 60_000);

test("links between documents lead somewhere", () => {
  const documents = [
    ...["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map((file) =>
      join(repository, file),
    ),
    ...["docs", "examples", "results", "bench"].flatMap((folder) =>
      existsSync(join(repository, folder)) ? filesIn(join(repository, folder), ".md") : [],
    ),
  ];
  const broken: string[] = [];
  for (const document of documents) {
    for (const [, target] of readFileSync(document, "utf8").matchAll(
      /\]\((?!https?:|mailto:)([^)#\s]+)[^)]*\)/g,
    )) {
      if (!existsSync(resolve(dirname(document), target!)))
        broken.push(`${relative(repository, document)} → ${target}`);
    }
  }
  expect(broken).toEqual([]);
});
