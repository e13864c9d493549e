import { allocate, type Params, type Tensor } from "../core/index.ts";

/** Named state tensors of a transform; saved with a training state. */
export type OptimizerState = Params;

/**
 * A step from gradients to updates, in the manner of optax: a pure description whose state is a map of
 * tensors. For speed, `update` rewrites the gradients and the state in place.
 */
export interface GradientTransform {
  init(params: Params): OptimizerState;
  /**
   * Turns `grads` into what the next transform gets, in place. A tensor without a gradient is left alone, and so is
   * what is remembered of it.
   * @param step number of updates before this one
   * @param updates how many of them a tensor took part in; default all
   */
  update(
    grads: Params,
    state: OptimizerState,
    params: Params,
    step: number,
    updates?: (name: string) => number,
  ): void;
}

/** Applies transforms one after another. */
export function chain(...transforms: readonly GradientTransform[]): GradientTransform {
  return {
    init: (params) => Object.assign({}, ...transforms.map((transform) => transform.init(params))),
    update(grads, state, params, step, updates) {
      for (const transform of transforms) transform.update(grads, state, params, step, updates);
    },
  };
}

/** A transform that remembers nothing. */
export const stateless = (update: GradientTransform["update"]): GradientTransform => ({
  init: () => ({}),
  update,
});

/** √(Σ g²) over all tensors. */
export function globalNorm(grads: Params): number {
  let sum = 0;
  for (const { data } of Object.values(grads)) {
    for (let i = 0; i < data.length; i++) sum += data[i]! * data[i]!;
  }
  return Math.sqrt(sum);
}

/** Scales all gradients by max / (norm + 1e-6) where their global norm is above it, as torch does. */
export function clipByGlobalNorm(max: number): GradientTransform {
  return stateless((grads) => {
    const factor = max / (globalNorm(grads) + 1e-6);
    if (factor >= 1) return;
    for (const { data } of Object.values(grads)) {
      for (let i = 0; i < data.length; i++) data[i]! *= factor;
    }
  });
}

/** Settings of Adam; the defaults are those of torch. */
export interface AdamOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

/** m̂ / (√v̂ + ε) with bias-corrected moments (Kingma and Ba 2015, algorithm 1). */
export function scaleByAdam(options: AdamOptions = {}): GradientTransform {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  return {
    init: (params) => ({ ...zerosFor(params, "adam.m."), ...zerosFor(params, "adam.v.") }),
    update(grads, state, _, step, updates = () => step) {
      for (const [name, { data }] of Object.entries(grads)) {
        const correction1 = 1 - beta1 ** (updates(name) + 1);
        const correction2 = Math.sqrt(1 - beta2 ** (updates(name) + 1));
        const m = state[`adam.m.${name}`]!.data;
        const v = state[`adam.v.${name}`]!.data;
        for (let i = 0; i < data.length; i++) {
          const g = data[i]!;
          m[i] = beta1 * m[i]! + (1 - beta1) * g;
          v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
          data[i] = m[i]! / correction1 / (Math.sqrt(v[i]!) / correction2 + epsilon);
        }
      }
    },
  };
}

/** Which tensors weight decay shrinks: all, or only matrices, so no biases and layer norms. */
export type Decayed = "all" | "matrices";

/** Whether weight decay shrinks a tensor of this shape. */
export function isDecayed(decayed: Decayed, { shape }: { readonly shape: readonly number[] }): boolean {
  return decayed === "all" || shape.length > 1;
}

/** Adds `rate · parameter`: decoupled weight decay (Loshchilov and Hutter 2019). */
export function addDecayedWeights(rate: number, decayed: Decayed = "all"): GradientTransform {
  return stateless((grads, _, params) => {
    if (rate === 0) return;
    for (const [name, { data }] of Object.entries(grads)) {
      if (!isDecayed(decayed, params[name]!)) continue;
      const weights = params[name]!.data;
      for (let i = 0; i < data.length; i++) data[i]! += rate * weights[i]!;
    }
  });
}

/** Learning rate of a tensor, by its name, as a multiple of the schedule's. */
export type RateFactors = (name: string) => number;

/** Multiplies by −learning rate: the result is added to the parameters. */
export function scaleByLearningRate(
  schedule: (step: number) => number,
  factors: RateFactors = () => 1,
): GradientTransform {
  return stateless((grads, _, __, step) => {
    for (const [name, { data }] of Object.entries(grads)) {
      const rate = -schedule(step) * factors(name);
      for (let i = 0; i < data.length; i++) data[i]! *= rate;
    }
  });
}

/** Adds updates to the parameters in place. */
export function applyUpdates(params: Params, updates: Params): void {
  for (const [name, { data }] of Object.entries(updates)) {
    const weights = params[name]!.data;
    for (let i = 0; i < data.length; i++) weights[i]! += data[i]!;
  }
}

function zerosFor(params: Params, prefix: string): OptimizerState {
  return Object.fromEntries(
    Object.entries(params).map(([name, { dtype, shape, data }]) => [
      `${prefix}${name}`,
      { dtype, shape, data: allocate(dtype, data.length) } as Tensor<"float32">,
    ]),
  );
}
