import { PtuningError, shown } from "../core/index.ts";
import { albert } from "./albert.ts";
import type { Architecture } from "./architecture.ts";
import { bert } from "./bert.ts";
import { deberta, debertaV2 } from "./deberta.ts";
import { distilbert } from "./distilbert.ts";
import { electra } from "./electra.ts";
import { glm } from "./glm.ts";
import { modernbert } from "./modernbert.ts";
import { mpnet } from "./mpnet.ts";
import { nomic } from "./nomic.ts";
import { roberta } from "./roberta.ts";

/** Every architecture that a checkpoint can have. */
export const architectures: readonly Architecture[] = [
  bert,
  roberta,
  mpnet,
  electra,
  distilbert,
  albert,
  deberta,
  debertaV2,
  modernbert,
  nomic,
  glm,
];

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

const ofModelType = (modelType: string): Architecture | undefined =>
  architectures.find(({ modelTypes }) => modelTypes.includes(modelType));

/** {@link Architecture.peftModules} of one `model_type` and task type; empty where nothing differs from BERT. */
export function peftModulesOf(modelType: string, taskType: string): Readonly<Record<string, string>> {
  return ofModelType(modelType)?.peftModules[taskType] ?? {};
}

/** {@link Architecture.peftRefusals} of one `model_type` and type of adapter or of task. */
export function peftRefusalOf(modelType: string, peftType: string): string | undefined {
  return ofModelType(modelType)?.peftRefusals?.[peftType];
}
