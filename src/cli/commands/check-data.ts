import { type Backbone, loadBackbone } from "../../backbones/index.ts";
import { checkData, type DataChecks, type Finding, type LengthLimits } from "../../checks/index.ts";
import {
  completeRunConfig,
  methodOf,
  type RunConfig,
  readData,
  redact,
  type SharedConfig,
  taskConfigs,
  taskOf,
} from "../../config/index.ts";
import { escapeControls, PtuningError, pathWord, shellCommand } from "../../core/index.ts";
import type { Dataset } from "../../data/index.ts";
import { longestInput } from "../../model/index.ts";
import { formatCount, formatShare, textTable } from "../../report/index.ts";
import { readRunConfig, runStatus } from "../../runs/index.ts";
import type { Task } from "../../tasks/index.ts";
import { resolveSettings } from "../../train/index.ts";
import { tellData } from "../data-line.ts";
import { exitCodes } from "../exit.ts";
import { readConfig, type TrainFlags } from "../run-config.ts";
import { print, printJson, style, warn } from "../terminal.ts";

/** Labels that the table shows; of more, the most frequent and the rarest. */
const shownLabels = 20;

export async function checkDataCommand(source: string, flags: TrainFlags): Promise<void> {
  const isRun = (await runStatus(source)) !== "none";
  const config = isRun
    ? await completeRunConfig(await readRunConfig(source))
    : await readConfig(source, flags, "several");
  const backbone = await backboneAtHand(config);
  try {
    for (const [name, one] of Object.entries(taskConfigs(config))) {
      const data = await readData(one);
      tellData(one, data, flags.json === true, name);
      const task = taskOf(one, data);
      const checks = redact(await checkData(data, task, backbone && limitsOf(one, data, task, backbone)));
      if (flags.json) {
        printJson({ type: "data-checks", ...(name && { task: name }), ...checks });
      } else {
        if (name) print(style("bold", `Task ${name}`));
        printChecks(checks);
      }
      if (checks.findings.some(({ severity }) => severity === "error")) process.exitCode = exitCodes.failed;
    }
  } finally {
    await backbone?.close();
  }
}

/** Checking data is no reason to download anything: without the backbone no tokens are counted. */
async function backboneAtHand(config: SharedConfig): Promise<Backbone | undefined> {
  try {
    return await loadBackbone(config.backbone, { offline: true });
  } catch (error) {
    if (!(error instanceof PtuningError) || error.code !== "BACKBONE_NOT_FOUND") throw error;
    warn(
      `lengths are not checked: backbone ${config.backbone} is not on this machine.\n  Fetch it with: ${shellCommand("ptuning", "backbones", "add", pathWord(config.backbone))}`,
    );
    return undefined;
  }
}

function limitsOf(config: RunConfig, data: Dataset<unknown>, task: Task, backbone: Backbone): LengthLimits {
  const method = methodOf(config);
  const parts = { backbone, method, head: task.head };
  const options = { ...config.training, backbone, data, task, method };
  const { maxLength } = resolveSettings(options, parts);
  return { tokenizer: backbone.tokenizer, maxLength, longest: longestInput(parts) };
}

function printChecks(checks: DataChecks): void {
  const { splits, labels, lengths, suggestions, findings } = checks;
  const measured = new Map(lengths?.splits.map((split) => [split.split, split]));
  print(
    textTable(
      ["split", "examples", "repeated", "median tokens", "95 %", "longest"].map((title) => ({ title })),
      splits.map(({ name, examples, duplicates }) => {
        const { median, p95, max } = measured.get(name) ?? {};
        return [name, examples, duplicates, median ?? "", p95 ?? "", max ?? ""];
      }),
    ),
  );
  if (labels.length > 0) {
    const half = shownLabels / 2;
    const shown = labels.length > shownLabels ? [...labels.slice(0, half), ...labels.slice(-half)] : labels;
    const title = shown.length < labels.length ? `label (${half} + ${half} of ${labels.length})` : "label";
    print();
    print(
      textTable(
        [title, "train", "dev", "test"].map((name) => ({ title: name })),
        shown.map(({ label, train, dev, test }) => [escapeControls(label), train, dev, test]),
      ),
    );
  }
  if (lengths) {
    print();
    print(
      textTable(
        ["maxLength", "longer", "share"].map((title) => ({ title })),
        lengths.longer.map(({ maxLength, sequences, share }) => [
          maxLength === lengths.maxLength ? `${maxLength} (this run)` : `${maxLength}`,
          formatCount(sequences),
          sequences === 0 ? "none" : formatShare(share),
        ]),
      ),
    );
  }
  print();
  for (const finding of findings) printFinding(finding);
  if (findings.length === 0) print("Nothing was found.");
  if (suggestions) print(`These data suggest: ${suggestions.reasons.join(" ")}`);
}

const colors = { error: "red", warning: "yellow", info: "cyan" } as const;

function printFinding({ severity, message, advice, places }: Finding): void {
  print(`${style(colors[severity], `${severity}:`)} ${escapeControls(message)}`);
  const lines = places.flatMap(({ line }) => (line === undefined ? [] : [line]));
  if (lines.length > 0) print(`  lines ${lines.join(", ")}`);
  if (advice) print(`  ${escapeControls(advice)}`);
}
