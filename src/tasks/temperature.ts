/**
 * Temperature scaling (Guo et al. 2017): one number T for a task, by which logits are divided before they become
 * probabilities. What is answered stays the same.
 */
import { argmax } from "./logits.ts";

/** The least and the greatest temperature: beyond, probabilities are 0 and 1, or all alike. */
export const temperatureRange = { least: 0.01, most: 100 } as const;

/** Fewer examples than this do not tell a temperature: 1 is as good a guess. */
export const leastExamples = 50;

/** The logits of one example, and the number of the right class. */
export interface ClassRow {
  /** `[C]`; −∞ where a class cannot be. */
  readonly logits: ArrayLike<number>;
  readonly gold: number;
}

/** The logits of one example with any number of labels. */
export interface LabelsRow {
  /** `[C]`. */
  readonly logits: ArrayLike<number>;
  /** `[C]`, 1 for the labels that the example has, else 0. */
  readonly gold: ArrayLike<number>;
}

/**
 * The temperature with the least log loss of softmax(logits / T) on held-out examples, within {@link temperatureRange}.
 * 1 where all temperatures are alike. `undefined` where fewer than {@link leastExamples} examples have a loss: logits that
 * are not numbers, or a right class that cannot be, say nothing of T.
 *
 * Where every answer is right, the loss has no minimum: it falls to T = 0. The gold classes are then believed a little less
 * than wholly, as if one further answer had been wrong (Platt 1999).
 */
export function softmaxTemperature(rows: Iterable<ClassRow>): number | undefined {
  const decisions = new Decisions();
  for (const { logits, gold } of rows) decisions.add(logits, gold);
  return decisions.count < leastExamples ? undefined : bestTemperature(decisions);
}

/**
 * The same for sigmoid(logits / T) of each label by itself: every decision on a label is one between two classes, whose
 * logits are 0 and the label's.
 */
export function sigmoidTemperature(rows: Iterable<LabelsRow>): number | undefined {
  const decisions = new Decisions();
  let examples = 0;
  for (const { logits, gold } of rows) {
    const before = decisions.count;
    for (let label = 0; label < logits.length; label++)
      decisions.add([0, logits[label]!], gold[label] ? 1 : 0);
    if (decisions.count > before) examples++;
  }
  return examples < leastExamples ? undefined : bestTemperature(decisions);
}

/** Choices between classes, each as how far its logits lie below the greatest of them: 0 or less. */
class Decisions {
  /** Those of all choices, one after another, and where each ends. */
  readonly #distances: number[] = [];
  readonly #ends: number[] = [];
  /** Sum over the choices of the right class's distance, and of the mean of the others'. */
  #gold = 0;
  #others = 0;
  #wrong = 0;

  get count(): number {
    return this.#ends.length;
  }

  /** Leaves out what no temperature changes. */
  add(logits: ArrayLike<number>, gold: number): void {
    const most = logits[argmax(logits)]!;
    const own = logits[gold]! - most;
    let [others, possible] = [0, 0];
    for (let c = 0; c < logits.length; c++) {
      const distance = logits[c]! - most;
      if (Number.isNaN(distance)) return;
      if (c === gold || distance === Number.NEGATIVE_INFINITY) continue;
      others += distance;
      possible++;
    }
    if (!Number.isFinite(own)) return;
    this.#gold += own;
    this.#others += possible === 0 ? own : others / possible;
    if (own < 0) this.#wrong++;
    for (let c = 0; c < logits.length; c++) this.#distances.push(logits[c]! - most);
    this.#ends.push(this.#distances.length);
  }

  /** Slope and curvature of the loss Σ ln Σ_c exp(β z_c) − β z_gold over β = 1 / T. */
  slopes(beta: number): readonly [first: number, second: number] {
    const doubt = this.#wrong === 0 ? 1 / (this.count + 2) : 0;
    let [first, second] = [-((1 - doubt) * this.#gold + doubt * this.#others), 0];
    let at = 0;
    for (const end of this.#ends) {
      let [total, sum, square] = [0, 0, 0];
      for (; at < end; at++) {
        const distance = this.#distances[at]!;
        const share = Math.exp(beta * distance);
        // 0 · −∞ is not a number.
        if (share === 0) continue;
        total += share;
        sum += share * distance;
        square += share * distance * distance;
      }
      first += sum / total;
      second += square / total - (sum / total) ** 2;
    }
    return [first, second];
  }
}

/** Newton's steps on the slope of the loss, which is convex in β, between two ends that close in; halved where a step leaves them. */
function bestTemperature(decisions: Decisions): number {
  let [low, high] = [1 / temperatureRange.most, 1 / temperatureRange.least];
  let beta = 1;
  const [first, second] = decisions.slopes(beta);
  if (first === 0 && second <= 0) return 1;
  if (decisions.slopes(low)[0] >= 0) return temperatureRange.most;
  if (decisions.slopes(high)[0] <= 0) return temperatureRange.least;
  for (let step = 0; step < mostSteps; step++) {
    const [slope, curvature] = decisions.slopes(beta);
    if (slope > 0) high = beta;
    else low = beta;
    const newton = beta - slope / curvature;
    const next = newton > low && newton < high ? newton : Math.sqrt(low * high);
    const isThere = Math.abs(next - beta) <= tolerance * beta;
    beta = next;
    if (isThere) break;
  }
  return 1 / beta;
}

const mostSteps = 100;
/** Relative. */
const tolerance = 1e-9;
