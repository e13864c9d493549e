/**
 * One axis length of a graph value: a number, or a polynomial over named sizes in canonical text form,
 * such as `"B"`, `"S + 20"` or `"B*S"`. Two dims are equal exactly when they are `===`.
 */
export type Dim = number | string;

/** Values for the names that occur in dims. */
export type DimBindings = Readonly<Record<string, number>>;

/** Monomial (sorted factors joined by `*`, `""` for the constant) → coefficient. */
type Terms = Map<string, number>;

const parsed = new Map<string, Terms>();

function termsOf(dim: Dim): Terms {
  if (typeof dim === "number") return new Map(dim === 0 ? [] : [["", dim]]);
  let terms = parsed.get(dim);
  if (terms === undefined) {
    terms = new Map();
    for (const part of dim.split(" + ")) {
      let coefficient = 1;
      const factors: string[] = [];
      for (const factor of part.split("*")) {
        if (/^-?\d+$/.test(factor)) coefficient *= Number(factor);
        else factors.push(factor);
      }
      addTerm(terms, factors.sort().join("*"), coefficient);
    }
    parsed.set(dim, terms);
  }
  return terms;
}

function addTerm(terms: Terms, monomial: string, coefficient: number): void {
  const sum = (terms.get(monomial) ?? 0) + coefficient;
  if (sum === 0) terms.delete(monomial);
  else terms.set(monomial, sum);
}

function canonical(terms: Terms): Dim {
  if (terms.size === 0) return 0;
  const constant = terms.get("");
  if (terms.size === 1 && constant !== undefined) return constant;
  return [...terms]
    .sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1))
    .map(([monomial, k]) => (monomial === "" ? `${k}` : k === 1 ? monomial : `${k}*${monomial}`))
    .join(" + ");
}

/** `a + b`. */
export function addDims(a: Dim, b: Dim): Dim {
  const sum: Terms = new Map(termsOf(a));
  for (const [monomial, k] of termsOf(b)) addTerm(sum, monomial, k);
  return canonical(sum);
}

/** `a - b`. */
export function subtractDims(a: Dim, b: Dim): Dim {
  return addDims(a, multiplyDims(b, -1));
}

/** `a * b`. */
export function multiplyDims(a: Dim, b: Dim): Dim {
  const product: Terms = new Map();
  for (const [x, i] of termsOf(a)) {
    for (const [y, j] of termsOf(b)) {
      const factors = [...x.split("*"), ...y.split("*")].filter((factor) => factor !== "");
      addTerm(product, factors.sort().join("*"), i * j);
    }
  }
  return canonical(product);
}

/** `a / b` where the division is exact and `b` is a single term; otherwise `undefined`. */
export function divideDims(a: Dim, b: Dim): Dim | undefined {
  const divisor = [...termsOf(b)];
  if (divisor.length !== 1) return undefined;
  const [monomial, k] = divisor[0]!;
  const quotient: Terms = new Map();
  for (const [x, i] of termsOf(a)) {
    const factors = x === "" ? [] : x.split("*");
    for (const factor of monomial === "" ? [] : monomial.split("*")) {
      const at = factors.indexOf(factor);
      if (at < 0) return undefined;
      factors.splice(at, 1);
    }
    if (i % k !== 0) return undefined;
    addTerm(quotient, factors.join("*"), i / k);
  }
  return canonical(quotient);
}

/** The product of all dims: the element count of a shape. */
export function productOfDims(dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>(multiplyDims, 1);
}

/** The names that occur in a dim. */
export function dimNames(dim: Dim): string[] {
  return [...new Set([...termsOf(dim).keys()].flatMap((monomial) => monomial.split("*")))].filter(
    (name) => name !== "",
  );
}

/** The length that `dim` stands for, or `undefined` where a name is not bound. */
export function evaluateDim(dim: Dim, bindings: DimBindings): number | undefined {
  let total = 0;
  for (const [monomial, k] of termsOf(dim)) {
    let value = k;
    for (const name of monomial === "" ? [] : monomial.split("*")) {
      const bound = bindings[name];
      if (bound === undefined) return undefined;
      value *= bound;
    }
    total += value;
  }
  return total;
}
