import { catalog } from "../backbones/portable.ts";
import { inventory } from "../model/index.ts";
import type { AdapterFields, BackboneReference } from "./adapter.ts";
import type { MultiTaskFields } from "./multi-task.ts";

/**
 * The README of an adapter folder: a model card with metadata for model hubs. It holds labels, scores and
 * settings, and no text of the training data: adapter folders get published.
 */
export function modelCard(adapter: AdapterFields): string {
  const { task, method, backbone, maxLength, provenance } = adapter;
  const { trainable, trainableTotal } = inventory(adapter.params, 0);
  const labels = (task.options as { labels?: readonly string[] }).labels;
  const counts = Object.entries(trainable).map(([part, count]) => `${part} ${count.toLocaleString("en")}`);
  const scores = Object.entries(provenance.metrics ?? {}).flatMap(([split, values]) =>
    Object.entries(values).map(([name, value]) => `| ${split} | ${name} | ${value.toFixed(4)} |`),
  );
  const settings = { ...method.options, ...provenance.training };
  const lines = [
    "---",
    "library_name: ptuning",
    `base_model: ${JSON.stringify(backbone.id)}`,
    `tags: [ptuning, ${method.name}, ${task.type}]`,
    "---",
    "",
    `# ${task.type} adapter for ${backbone.id}`,
    "",
    adapter.source
      ? `Trained with ${provenance.training?.method ?? method.name}. This folder is a checkpoint of its own: ` +
        `${trainableTotal.toLocaleString("en")} parameters (${counts.join(", ")}) take the place of the backbone's.`
      : `Trained with ${method.name}: ${trainableTotal.toLocaleString("en")} parameters (${counts.join(", ")}) on a ` +
        "frozen backbone, which is not part of this folder.",
    ...backboneFacts(backbone),
    ...(task.head.bare ? ["", bareText] : []),
    "",
    "## Use",
    "",
    "```sh",
    `ptuning predict PATH_TO_THIS_FOLDER ${task.fromText ? '"a text"' : "--input FILE"}`,
    "```",
    "",
    ...taskTable(task.options),
    ...(labels ? ["## Labels", "", ...labels.map((label) => `- ${markdownText(label)}`), ""] : []),
    ...(scores.length > 0
      ? ["## Scores", "", "| split | metric | value |", "|---|---|---|", ...scores, ""]
      : []),
    "## Training",
    "",
    "| setting | value |",
    "|---|---|",
    ...settingRows(settings),
    `| maxLength | ${maxLength} |`,
    ...(provenance.data ? [`| examples | ${provenance.data.train} train, ${provenance.data.dev} dev |`] : []),
    `| created | ${provenance.createdAt} |`,
    ...Object.entries(provenance.versions).map(([name, version]) => `| ${name} | ${version} |`),
    "",
    "## Fit",
    "",
    fitText(adapter),
  ];
  return `${lines.join("\n")}\n`;
}

const bareText =
  "Its head reads each text's vector by the tuned and by the untouched backbone side by side: a text passes the backbone twice.";

/** The same for one prompt with several heads. */
export function multiTaskCard(adapter: MultiTaskFields): string {
  const { method, backbone, shared, heads, maxLength } = adapter;
  const { trainableTotal } = inventory(shared, 0);
  const rows = Object.entries(heads).flatMap(([name, { task, params, provenance }]) => {
    const size = inventory(params, 0).trainableTotal.toLocaleString("en");
    const scores = Object.entries(provenance.metrics ?? {}).flatMap(([split, values]) =>
      Object.entries(values).map(([score, value]) => [split, score, value.toFixed(4)]),
    );
    const lines = scores.length > 0 ? scores : [["", "", ""]];
    return lines.map((cells) => `| ${[name, task.type, size, ...cells].join(" | ")} |`);
  });
  const types = [...new Set(Object.values(heads).map(({ task }) => task.type))];
  const [first] = Object.keys(heads);
  const { training } = Object.values(heads)[0]!.provenance;
  const lines = [
    "---",
    "library_name: ptuning",
    `base_model: ${JSON.stringify(backbone.id)}`,
    `tags: [${["ptuning", method.name, "multi-task", ...types].join(", ")}]`,
    "---",
    "",
    `# Multi-task adapter for ${backbone.id}`,
    "",
    `Trained with ${method.name}: ${trainableTotal.toLocaleString("en")} parameters that ${Object.keys(heads).length} tasks share, ` +
      "and a head for each, on a frozen backbone, which is not part of this folder.",
    ...backboneFacts(backbone),
    "",
    "## Use",
    "",
    "```sh",
    `ptuning predict PATH_TO_THIS_FOLDER --head ${first} --input FILE`,
    "```",
    "",
    "## Heads",
    "",
    "| head | task | parameters | split | metric | value |",
    "|---|---|---:|---|---|---:|",
    ...rows,
    "",
    ...Object.entries(heads).flatMap(([name, { task }]) => taskTable(task.options, `### ${name}`)),
    "## Training",
    "",
    "| setting | value |",
    "|---|---|",
    ...settingRows({ ...method.options, ...training }),
    `| maxLength | ${maxLength} |`,
    "",
    "## Fit",
    "",
    fitText(adapter),
  ];
  return `${lines.join("\n")}\n`;
}

/** Size and licence of the backbone, where they are known. */
function backboneFacts({ id }: BackboneReference): string[] {
  const entry = catalog.find((known) => known.id === id);
  if (entry === undefined) return [];
  const { parameters, bytes, license } = entry;
  return [
    "",
    `The backbone has ${parameters.toLocaleString("en")} parameters (${Math.round(bytes / 1e6)} MB) and the licence ` +
      `${license}; \`ptuning backbones add ${id}\` fetches it.`,
  ];
}

/** The task's settings that are numbers, words or few of them: what decides how it answers, such as a threshold. */
function taskTable(options: Readonly<Record<string, unknown>>, title = "## Task"): string[] {
  const isPlain = (value: unknown): boolean => ["number", "string", "boolean"].includes(typeof value);
  const shown = Object.entries(options).filter(
    ([, value]) =>
      isPlain(value) ||
      (typeof value === "object" && !Array.isArray(value) && Object.values(value ?? {}).every(isPlain)),
  );
  if (shown.length === 0) return [];
  return [title, "", "| setting | value |", "|---|---|", ...settingRows(Object.fromEntries(shown)), ""];
}

const settingRows = (settings: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(settings).map(([key, value]) => `| ${key} | ${markdownText(settingText(value))} |`);

const fitText = ({ backbone, method }: Pick<AdapterFields, "backbone" | "method">): string =>
  `Works on the backbone ${
    backbone.fingerprint === "" ? "that it was trained on" : `with fingerprint \`${backbone.fingerprint}\``
  } only; the text starts at position ${positionText(method.options)}.`;

function positionText({
  positionOffset,
  placement,
  promptLength,
}: Readonly<Record<string, unknown>>): string {
  return positionOffset === false || placement === "template" ? "0" : String(promptLength ?? 0);
}

function settingText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Labels come from data: they must not become markup. */
function markdownText(text: string): string {
  return text.replace(/[\\`*_{}[\]<>|#]/g, "\\$&").replace(/\s+/g, " ");
}
