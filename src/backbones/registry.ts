import { PtuningError, shown } from "../core/index.ts";
import type { Architecture } from "./architecture.ts";
import { bert } from "./bert.ts";
import { roberta } from "./roberta.ts";

/** Every architecture that a checkpoint can have. */
export const architectures: readonly Architecture[] = [bert, roberta];

/**
 * The architecture of a `config.json`.
 * @throws BACKBONE_UNSUPPORTED if there is none for its `model_type`
 */
export function architectureOf(json: unknown, where: string): Architecture {
  const modelType = (json as { model_type?: unknown } | null)?.model_type;
  const found = architectures.find(
    ({ modelTypes }) => typeof modelType === "string" && modelTypes.includes(modelType),
  );
  if (found === undefined) {
    const known = architectures.flatMap(({ modelTypes }) => modelTypes).join(", ");
    throw new PtuningError(
      "BACKBONE_UNSUPPORTED",
      `${where}: model_type: expected one of ${known}, got ${shown(modelType)}.`,
      { hint: "Choose a backbone of a supported architecture." },
    );
  }
  return found;
}

/** {@link Architecture.peftModules} of one `model_type` and task type; empty where nothing differs from BERT. */
export function peftModulesOf(modelType: string, taskType: string): Readonly<Record<string, string>> {
  const architecture = architectures.find(({ modelTypes }) => modelTypes.includes(modelType));
  return architecture?.peftModules[taskType] ?? {};
}
