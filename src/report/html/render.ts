import type { RunReport } from "../run-report.ts";
import { trainingSection } from "./curves.ts";
import { dataSection } from "./data.ts";
import { devSection } from "./dev.ts";
import { headerSection, scoresSection, settingsSection } from "./facts.ts";
import { writePage } from "./page.ts";

/** The report of a run as one HTML page. */
export function renderRun(report: RunReport): Promise<string> {
  return writePage(`${report.name} · ptuning`, (page) => [
    headerSection(page, report),
    page.h(
      "main",
      {},
      scoresSection(page, report),
      trainingSection(page, report),
      devSection(page, report),
      dataSection(page, report),
      (report.tasks ?? []).flatMap((task) => [
        devSection(page, task, task.name),
        dataSection(page, task, task.name),
      ]),
      settingsSection(page, report),
    ),
    page.h(
      "footer",
      {},
      `Made by ptuning ${report.version} on ${report.createdAt.slice(0, 16).replace("T", " ")} UTC. `,
      "It quotes examples of the data set: mind that before passing it on.",
    ),
  ]);
}
