/** Adapters that nobody trained: every tensor is random, so that each part of one moves its answers. */
import { Adapter, MultiTaskAdapter, referenceTo } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { type Params, Rng, type Tensor } from "ptuning/internal/core";
import type { Method } from "ptuning/internal/methods";
import { missingWeights, paramShapes } from "ptuning/internal/model";
import type { Task } from "ptuning/internal/tasks";

const provenance = { createdAt: "2026-01-01T00:00:00.000Z", versions: {} };

function randomParams(
  shapes: Readonly<Record<string, { readonly shape: readonly number[] }>>,
  rng: Rng,
): Params {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, { shape }]): [string, Tensor<"float32">] => {
      const stream = rng.split(name);
      const count = shape.reduce((product, size) => product * size, 1);
      const data = Float32Array.from({ length: count }, () => 0.3 * stream.normal());
      return [name, { dtype: "float32", shape, data }];
    }),
  );
}

/** One task. */
export function randomAdapter(
  backbone: Backbone,
  task: Task,
  method: Method,
  seed: number,
  maxLength = 16,
): Adapter {
  const bare = { backbone, method, head: task.head };
  const frozen = missingWeights(bare, new Rng(seed).split("frozen"));
  const params = randomParams(paramShapes({ ...bare, frozen }), new Rng(seed));
  return new Adapter({
    task,
    method,
    params,
    frozen,
    backbone: referenceTo(backbone),
    maxLength,
    provenance,
  });
}

/** Several tasks on one prompt. */
export function randomMultiTask(
  backbone: Backbone,
  tasks: Readonly<Record<string, Task>>,
  method: Method,
  seed: number,
  maxLength = 16,
): MultiTaskAdapter {
  const own = method.parameters(backbone.config, backbone.architecture);
  const shared = randomParams(own, new Rng(seed));
  const heads = Object.entries(tasks).map(([name, task]) => {
    const { params, frozen } = randomAdapter(backbone, task, method, seed + name.length);
    const rest = Object.fromEntries(Object.entries(params).filter(([key]) => !(key in own)));
    return [name, { task, params: rest, frozen, provenance }] as const;
  });
  return new MultiTaskAdapter({
    ...{ method, shared, maxLength, backbone: referenceTo(backbone) },
    heads: Object.fromEntries(heads),
  });
}
