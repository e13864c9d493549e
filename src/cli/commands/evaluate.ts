import type { Precision } from "../../backbones/index.ts";
import { greatest } from "../../core/index.ts";
import { readExamples } from "../../data/index.ts";
import { createPredictor } from "../../predict/index.ts";
import { formatDuration } from "../../report/index.ts";
import { loadAdapterAndBackbone } from "../adapter-folder.ts";
import { stopping } from "../stop.ts";
import { cutMessage, print, printJson, style, warn } from "../terminal.ts";
import { readingFor } from "../training-columns.ts";

interface EvaluateFlags {
  readonly text?: string;
  readonly label?: string;
  readonly labelPattern?: string;
  readonly head?: string;
  readonly backbone?: string;
  readonly threads?: string;
  readonly precision?: Precision;
  readonly json?: boolean;
}

export async function evaluateCommand(path: string, dataPath: string, flags: EvaluateFlags): Promise<void> {
  const { adapter, backbone } = await loadAdapterAndBackbone(path, flags);
  try {
    const file = await readExamples(dataPath, await readingFor(adapter, dataPath, flags));
    for (const warning of file.warnings) warn(warning);
    const { signal } = stopping;
    const predictor = await createPredictor(adapter, backbone, {
      signal,
      ...(flags.precision && { precision: flags.precision }),
    });
    const started = performance.now();
    const { scores, loss, collapsed, truncated } = await predictor.evaluate(file.examples, { signal });
    const seconds = (performance.now() - started) / 1000;
    if (truncated > 0) warn(cutMessage(truncated, file.examples.length, adapter.maxLength));
    if (flags.json) {
      printJson({
        type: "evaluation",
        examples: file.examples.length,
        scores,
        loss,
        collapsed,
        truncated,
        seconds,
      });
      return;
    }
    const width = greatest([10, ...Object.keys(scores).map((name) => name.length)]);
    for (const [name, value] of Object.entries(scores))
      print(`${name.padEnd(width)} ${style("bold", value.toFixed(4))}`);
    print(`${"loss".padEnd(width)} ${loss.toFixed(4)}`);
    print(style("dim", `${file.examples.length} examples in ${formatDuration(seconds)}`));
    if (collapsed) warn("one answer was given for every example.");
  } finally {
    await backbone.close();
  }
}
