import type { BackboneReference } from "../adapters/index.ts";
import { type Params, PtuningError, type Tensor } from "../core/index.ts";
import { encodeSafetensors, readSafetensors } from "../files/index.ts";
import type { OptimizerState } from "../optim/index.ts";
import type { Evaluation } from "../tasks/index.ts";

/** One evaluation on dev. */
export interface EvaluationRecord extends Evaluation {
  readonly step: number;
  readonly epoch: number;
}

/** What a training state belongs to, as configs and adapters name it. */
export interface StateOrigin {
  readonly backbone: BackboneReference;
  readonly method: { readonly name: string; readonly options: Readonly<Record<string, unknown>> };
  /** By the names of their heads; "" where there is only one. */
  readonly tasks: Readonly<
    Record<string, { readonly type: string; readonly options: Readonly<Record<string, unknown>> }>
  >;
}

/** Everything that a run needs to go on as if it had never stopped. */
export interface TrainingState {
  /** Updates done. */
  readonly step: number;
  readonly params: Params;
  readonly optimizer: OptimizerState;
  /** The state that evaluated best so far. */
  readonly best: { readonly evaluation: EvaluationRecord; readonly params: Params } | undefined;
  readonly evaluations: readonly EvaluationRecord[];
  /** Sum and number of the losses since the last evaluation. */
  readonly lossSum: number;
  readonly lossCount: number;
  /** Weights that the checkpoint lacks and that are not trained. */
  readonly frozen: Params;
  /** Tensors of a head that is not trained. */
  readonly fixed: Params;
  /** What was trained on what, so that another run can start from it. */
  readonly origin: StateOrigin;
  /** The settings and data that the run began with; a run resumes only under the same. */
  readonly identity: string;
}

const prefixes = {
  params: "params/",
  optimizer: "optimizer/",
  best: "best/",
  frozen: "frozen/",
  fixed: "fixed/",
} as const;

/** A training state as the bytes of one safetensors file. */
export function encodeState({ params, optimizer, best, frozen, fixed, ...rest }: TrainingState): Uint8Array {
  const tensors: Record<string, Tensor> = {};
  const groups = { params, optimizer, best: best?.params ?? {}, frozen, fixed };
  for (const [group, members] of Object.entries(groups)) {
    for (const [name, tensor] of Object.entries(members)) {
      tensors[prefixes[group as keyof typeof prefixes] + name] = tensor;
    }
  }
  return encodeSafetensors(tensors, { ptuning: JSON.stringify({ ...rest, best: best?.evaluation }) });
}

/**
 * Reads a training state.
 * @throws RUN_INVALID if the file is damaged
 */
export async function readState(path: string): Promise<TrainingState> {
  try {
    const { tensors, metadata } = await readSafetensors(path);
    const { best, ...rest } = JSON.parse(metadata.ptuning ?? "");
    const group = (prefix: string): Params =>
      Object.fromEntries(
        Object.entries(tensors)
          .filter(([name]) => name.startsWith(prefix))
          .map(([name, tensor]) => [name.slice(prefix.length), tensor as Tensor<"float32">]),
      );
    return {
      ...rest,
      params: group(prefixes.params),
      optimizer: group(prefixes.optimizer),
      frozen: group(prefixes.frozen),
      fixed: group(prefixes.fixed),
      best: best && { evaluation: best, params: group(prefixes.best) },
    };
  } catch (cause) {
    throw new PtuningError("RUN_INVALID", `${path}: expected a training state, got a damaged file.`, {
      hint: "The run cannot be resumed: start it anew in another folder.",
      cause,
    });
  }
}
