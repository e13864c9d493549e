/** docs/tasks.md names every task family, its scores and its settings, and no others. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { taskFamilies } from "ptuning/tasks";
import { expect, test } from "vitest";
import { repository } from "../support/requirements.ts";

const table = readFileSync(join(repository, "docs/tasks.md"), "utf8").split(/<!-- \/?tasks -->/)[1]!;
const rows = table
  .split("\n")
  .filter((line) => line.startsWith("| `") && !line.startsWith("| `task.type`"))
  .map((line) => line.split("|").slice(1, -1));
const code = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);

test("docs/tasks.md lists every task family", () => {
  expect(rows.map(([type]) => code(type!)[0]).sort()).toEqual(taskFamilies.map(({ type }) => type).sort());
});

test.each(taskFamilies)("docs/tasks.md says of $type what it is", ({ type, settings, create, sample }) => {
  const [, , , scores, keys] = rows.find(([name]) => code(name!)[0] === type)!;
  expect(code(keys!).sort()).toEqual(Object.keys(settings.shape).sort());
  const task = create(sample);
  expect(code(scores!)[0]).toBe(task.selectBy);
  for (const score of task.scores) expect(code(scores!)).toContain(score);
});
