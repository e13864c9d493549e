/**
 * The examples in doc comments run, and where a comment behind a statement says what comes out, it does.
 * Names that an example does not make itself are the package's exports and the things in `context`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Adapter, referenceTo } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { deepPrompt, lora } from "ptuning/internal/methods";
import { initializeParams } from "ptuning/internal/model";
import { createPredictorPool, type PredictorPool } from "ptuning/internal/predict";
import { sequenceClassification, type Task } from "ptuning/tasks";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { has, repository } from "../support/requirements.ts";
import { tinyBackbone, tinyData, tinyOptions } from "../support/tiny.ts";

const source = join(repository, "src");
const folders = readdirSync(source, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== "cli")
  .map(({ name }) => name);

interface Example {
  readonly name: string;
  readonly code: string;
}

const examples: Example[] = readdirSync(source, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .flatMap((file) => {
    const blocks = readFileSync(join(source, file), "utf8").matchAll(
      /@example\n((?:\s+\* ?.*\n)+?)(?=\s+\*\/|\s+\* @)/g,
    );
    return [...blocks].map(([, block], i) => ({
      name: `${file} ${i + 1}`,
      code: block!.replaceAll(/^\s+\* ?/gm, ""),
    }));
  });

/** Statements with a comment behind or below them become checks: `f(x); // 3`. */
function withChecks(code: string): string {
  const file = ts.createSourceFile("example.ts", code, ts.ScriptTarget.ES2022, true);
  let out = "";
  for (const statement of file.statements) {
    const text = statement.getText();
    const comment = /^;?[ \t]*\n?\/\/ (.+)$/m.exec(
      code.slice(statement.end).split("\n").slice(0, 2).join("\n"),
    );
    const follows = comment !== null && comment.index === 0;
    if (!follows || !ts.isExpressionStatement(statement)) {
      out += `${text}\n`;
      continue;
    }
    const { expression } = statement;
    const isLog = ts.isCallExpression(expression) && expression.expression.getText() === "console.log";
    const value = isLog ? expression.arguments[0]!.getText() : expression.getText();
    out += `check(${value}, (${comment[1]}));\n`;
  }
  return out;
}

describe("examples in doc comments", () => {
  let exported: Record<string, unknown>;
  let context: Record<string, unknown>;
  let folder: string;
  let tiny: Backbone;
  let pool: PredictorPool;
  let server: { readonly url: string; close(): Promise<number> } | undefined;
  let close: (() => Promise<void>) | undefined;
  beforeAll(async () => {
    exported = Object.assign(
      {},
      ...(await Promise.all(folders.map((name) => import(`ptuning/internal/${name}`)))),
    );
    folder = await mkdtemp(join(tmpdir(), "ptuning-examples-"));
    tiny = await tinyBackbone();
    const { task } = tinyOptions(tiny);
    pool = await createPredictorPool(tiny);
    context = {
      backbone: tiny,
      pool,
      task,
      data: tinyData,
      // Examples show how to train, not for how long.
      train: (options: object) =>
        (exported.train as (o: object) => unknown)({ ...options, epochs: 1, maxLength: 16 }),
    };
    if (!has.minilm) return;
    const backbone = await loadBackbone("minilm");
    const pairs = sequenceClassification({ labels: ["entailment", "not_entailment"] }) as Task;
    for (const [name, method] of Object.entries({ rte: deepPrompt(), "rte-lora": lora() })) {
      await new Adapter({
        task: pairs,
        method,
        params: await initializeParams({ backbone, method, head: pairs.head }, new Rng(1)),
        backbone: referenceTo(backbone),
        maxLength: 128,
        provenance: { createdAt: "", versions: {} },
      }).save(join(folder, name));
    }
    const startServer = exported.startServer as (o: object) => Promise<typeof server>;
    server = await startServer({ backbone, adapters: folder, keys: "anyone", port: 0 });
    context.createClient = (options: object) =>
      (exported.createClient as (o: object) => unknown)({ ...options, url: server!.url });
    close = () => backbone.close();
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    await close?.();
    await pool?.close();
    await tiny?.close();
    await rm(folder, { recursive: true });
  });

  test("there are some", () => {
    expect(examples.length).toBeGreaterThan(5);
  });

  test.for(examples)("$name", { timeout: 60_000 }, async ({ code, name }, { skip }) => {
    skip(/"minilm"|createClient/.test(code) && !has.minilm, "it takes MiniLM, which is not in the cache");
    const file = ts.createSourceFile("example.ts", code, ts.ScriptTarget.ES2022, true);
    const declared = new Set<string>();
    const visit = (node: ts.Node): void => {
      if (ts.isVariableDeclaration(node)) {
        if (ts.isIdentifier(node.name)) declared.add(node.name.text);
        else
          for (const element of node.name.elements)
            if (ts.isBindingElement(element)) declared.add(element.name.getText());
      }
      node.forEachChild(visit);
    };
    visit(file);
    const names = { ...exported, ...context };
    const given = Object.keys(names).filter(
      (key) => !declared.has(key) && new RegExp(`\\b${key}\\b`).test(code),
    );
    const checked = withChecks(code)
      .replaceAll(/"\.\/adapters(?:\/([^"]*))?"/g, (_, at = "") => JSON.stringify(join(folder, at)))
      .replaceAll(/"(examples\/[^"]*)"/g, (_, at) => JSON.stringify(join(repository, at)));
    const js = ts.transpile(`async function run() {\n${checked}\n}`, { target: ts.ScriptTarget.ES2022 });
    const check = (actual: unknown, wanted: unknown): void => expect(actual, name).toEqual(wanted);
    const run = new Function(...given, "check", "console", `${js}\nreturn run();`);
    await run(...given.map((key) => names[key as keyof typeof names]), check, { log: () => {} });
  });
});
