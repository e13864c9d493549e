import {
  type Dim,
  type DimBindings,
  evaluateDim,
  int64s,
  PtuningError,
  productOfDims,
  type Rng,
  type Tensor,
  type TensorMap,
} from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";

/** Offsets are drawn from this many positions even for the largest tensor. */
const spareElements = 1 << 20;

const offsetsInput = "dropout.offsets";
const bankInput = (rate: number): string => `dropout.bank.${rate}`;

/** One place where elements are dropped. */
export interface DropoutSite {
  /** For scopes. */
  readonly name: string;
  /** Offset into the bank, an int64 vector of one element. */
  readonly start: Value;
  /** The scaled mask at an offset, 0 or 1 / (1 − rate); made when `masked` is there, not long before. */
  mask(offset: Value, masked: Value): Value;
}

/**
 * Dropout without random numbers in the graph: one bank of pre-drawn keep bits per rate, read at offsets that
 * are fed with each step. Cheap, reproducible from a seed, and the same in a resumed run. Elements are kept
 * with probability 1 − rate and then scaled by 1 / (1 − rate).
 */
export class Dropout {
  readonly #sites: Dim[] = [];
  readonly #banks = new Map<number, Value>();
  readonly #b: GraphBuilder;
  #offsets: Value | undefined;

  constructor(b: GraphBuilder) {
    this.#b = b;
  }

  /**
   * Drops elements of `x`; each call is a site with masks of its own.
   * @throws OPTION_INVALID if the rate is not in [0, 1)
   */
  apply(x: Value, rate: number): Value {
    const site = this.site(x.shape, rate);
    if (site === undefined) return x;
    const b = this.#b;
    return b.scope(site.name, () =>
      b.withGradient(
        [x, site.start],
        () => b.op("Mul", [x, site.mask(site.start, x)]),
        // The mask is read from the bank again: kept from the forward pass, it would take as much memory as x.
        (grad, _, { inputs: [, start] }) => [b.op("Mul", [grad, site.mask(start!, grad)])],
      ),
    );
  }

  /**
   * A place with masks of its own, for layers that write their dropout themselves; `undefined` where nothing is
   * dropped.
   * @throws OPTION_INVALID if the rate is not in [0, 1)
   */
  site(shape: readonly Dim[], rate: number): DropoutSite | undefined {
    if (rate === 0) return undefined;
    if (!(rate > 0 && rate < 1)) {
      throw new PtuningError("OPTION_INVALID", `dropout: expected a rate from 0 to below 1, got ${rate}.`);
    }
    const b = this.#b;
    const number = this.#sites.length;
    const elements = productOfDims(shape);
    this.#sites.push(elements);
    this.#offsets ??= b.input(offsetsInput, "int64", ["sites"]);
    const name = `dropout.${number}`;
    return {
      name,
      start: b.scope(name, () => b.slice(this.#offsets!, 0, number, number + 1)),
      mask: (offset, masked) => {
        const start = b.after(offset, masked);
        const end = b.op("Add", [start, b.dims([elements])]);
        const bits = b.op("Slice", [this.#bank(rate), start, end, b.integers([0])]);
        return b.op("DequantizeLinear", [b.reshape(bits, shape), b.scalar(1 / (1 - rate))]);
      },
    };
  }

  #bank(rate: number): Value {
    let bank = this.#banks.get(rate);
    if (bank === undefined) {
      bank = this.#b.input(bankInput(rate), "uint8", [`bank ${rate}`]);
      this.#banks.set(rate, bank);
    }
    return bank;
  }

  /** What the host must feed; read after the graph is written. */
  plan(): DropoutPlan {
    return { sites: [...this.#sites], rates: [...this.#banks.keys()] };
  }
}

/** What a graph with dropout needs to be fed. */
export interface DropoutPlan {
  /** Number of elements that each site drops from. */
  readonly sites: readonly Dim[];
  readonly rates: readonly number[];
}

/** Draws the banks: feeds that stay the same through a run. `largest` gives the greatest named sizes. */
export function dropoutBanks(plan: DropoutPlan, largest: DimBindings, rng: Rng): TensorMap {
  const elements = bankLength(plan, largest);
  return Object.fromEntries(
    plan.rates.map((rate) => [bankInput(rate), drawBank(rng.split(rate), rate, elements)]),
  );
}

/** Bytes of these banks. */
export function dropoutBankBytes(plan: DropoutPlan, largest: DimBindings): number {
  return plan.rates.length === 0 ? 0 : plan.rates.length * bankLength(plan, largest);
}

/** Draws one step's offsets into banks of the same `largest` sizes. */
export function dropoutOffsets(
  plan: DropoutPlan,
  largest: DimBindings,
  sizes: DimBindings,
  rng: Rng,
): TensorMap {
  if (plan.sites.length === 0) return {};
  const bank = bankLength(plan, largest);
  const offsets = plan.sites.map((elements) => rng.integer(bank - evaluateDim(elements, sizes)! + 1));
  return { [offsetsInput]: int64s([offsets.length], offsets) };
}

function bankLength(plan: DropoutPlan, largest: DimBindings): number {
  return Math.max(...plan.sites.map((elements) => evaluateDim(elements, largest)!)) + spareElements;
}

/** Keep bits as bytes, drawn at a resolution of 2⁻¹⁶. */
function drawBank(rng: Rng, rate: number, elements: number): Tensor<"uint8"> {
  const threshold = Math.round(rate * 0x10000);
  const data = new Uint8Array(elements);
  for (let i = 0; i < elements; i += 2) {
    const word = rng.uint32();
    data[i] = (word & 0xffff) >= threshold ? 1 : 0;
    data[i + 1] = word >>> 16 >= threshold ? 1 : 0;
  }
  return { dtype: "uint8", shape: [elements], data };
}
