import type { Refusal } from "../../core/index.ts";
import { type Head, headBias, headWeight, type Pooling } from "../../heads/index.ts";

/** A head in the terms of PEFT's `adapter_config.json` and tensor names. */
export interface PeftHead {
  readonly taskType: string;
  readonly modulesToSave: readonly string[];
  /** Our parameter name → PEFT's tensor name. */
  readonly tensors: Readonly<Record<string, string>>;
}

/** A linear layer; the first of the modules has its name. */
function linear(taskType: string, ...modulesToSave: readonly [string, ...string[]]): PeftHead {
  const layer = `base_model.${modulesToSave[0]}`;
  return {
    taskType,
    modulesToSave,
    tensors: { [headWeight]: `${layer}.weight`, [headBias]: `${layer}.bias` },
  };
}

/** Every head, by its name. */
const heads: Readonly<Record<string, (options: never) => PeftHead | Refusal>> = {
  sequence: ({ pooling, blend }: { readonly pooling: Pooling; readonly blend?: boolean }) =>
    blend
      ? {
          reason:
            "PEFT reads a text once, this adapter's head also reads what the untouched backbone makes of it",
        }
      : pooling === "pooler"
        ? linear("SEQ_CLS", "classifier", "score")
        : { reason: `PEFT pools through the checkpoint's pooler, this adapter uses pooling ${pooling}` },
  choice: () => ({ reason: "PEFT has no task type for multiple choice" }),
  token: () => linear("TOKEN_CLS", "classifier", "score"),
  span: () => linear("QUESTION_ANS", "qa_outputs"),
  verbalizer: () => ({ reason: "PEFT has no verbalizer" }),
};

/** What PEFT saves beside the method, for adapters that it shall load; or why it computes something else. */
export function peftHead({ name, options }: Pick<Head, "name" | "options">): PeftHead | Refusal {
  const head = Object.hasOwn(heads, name) ? heads[name] : undefined;
  return head?.(options as never) ?? { reason: `PEFT does not know the head ${name}` };
}
