/** The recipes of results/ say what their data can be trained with. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { completeRunConfig, parseRunConfig } from "ptuning/internal/config";
import { describe, expect, test } from "vitest";
import { has, repository } from "../support/requirements.ts";

const folder = join(repository, "recipes");
const paths = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".yaml") && !path.startsWith("paper"))
  .sort();
const parse = (path: string, change = (text: string) => text) =>
  parseRunConfig({ text: change(readFileSync(join(folder, path), "utf8")), where: path });

describe.skipIf(!has.data)("recipes", () => {
  test.each(paths)("%s suits its data", async (path) => {
    const completed = await completeRunConfig(parse(path));
    for (const one of "tasks" in completed ? Object.values(completed.tasks) : [completed]) {
      expect(one.task.type).toBeTypeOf("string");
    }
  });

  test("a label word that YAML takes for something else is named", async () => {
    const config = parse("sst2-tiny-bert.yaml", (text) => text.replace('"true"', "true"));
    await expect(completeRunConfig(config)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("task.words.1.2: expected string, got true."),
    });
  });
});
