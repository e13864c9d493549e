import { peftRefusalOf } from "../../backbones/portable.ts";
import type { Refusal } from "../../core/index.ts";
import type { Head } from "../../heads/index.ts";
import type { Method } from "../../methods/index.ts";
import type { BackboneReference } from "../adapter.ts";
import { type PeftHead, peftHead } from "./heads.ts";
import type { PeftMethod } from "./mapping.ts";
import { peftMethod } from "./methods.ts";

/** The parts of an adapter in the terms of PEFT. */
export interface PeftForm {
  readonly method: PeftMethod;
  readonly head: PeftHead;
}

/** What PEFT calls the parts of an adapter; or why it computes something else than they do. */
export function peftForm(
  method: Pick<Method, "name" | "options">,
  head: Pick<Head, "name" | "options">,
  backbone: Pick<BackboneReference, "modelType" | "hiddenSize" | "numLayers" | "numHeads">,
): PeftForm | Refusal {
  const [theirs, own] = [peftMethod(method, backbone), peftHead(head)];
  if ("reason" in theirs || "reason" in own) {
    return { reason: [theirs, own].flatMap((part) => ("reason" in part ? [part.reason] : [])).join("; ") };
  }
  const { peftType, taskTypes } = theirs;
  if (taskTypes?.includes(own.taskType) === false) {
    return { reason: `PEFT computes ${own.taskType} heads otherwise with ${peftType}` };
  }
  const reason =
    peftRefusalOf(backbone.modelType, peftType) ?? peftRefusalOf(backbone.modelType, own.taskType);
  return reason === undefined ? { method: theirs, head: own } : { reason };
}
