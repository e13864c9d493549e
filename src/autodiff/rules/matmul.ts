import type { Rule } from "../rule.ts";
import { unbroadcast } from "../rule.ts";

const flip = (flag: 0 | 1 | undefined): 0 | 1 => (flag ? 0 : 1);
const keep = (flag: 0 | 1 | undefined): 0 | 1 => flag ?? 0;

export const MatMul: Rule<"MatMul"> = (context) => FusedMatMul({ ...context, attributes: {} });

/** With A′ = op(A) and B′ = op(B): dA′ = α·dY·B′ᵀ and dB′ = α·A′ᵀ·dY; the transpositions are undone. */
export const FusedMatMul: Rule<"FusedMatMul"> = ({ b, inputs, attributes, grad, needs }) => {
  const [left, right] = inputs as [(typeof inputs)[0] & {}, (typeof inputs)[0] & {}];
  const { transA, transB, transBatchA, transBatchB, alpha = 1 } = attributes;
  /** Sums over broadcast batch axes, then moves the first matrix axis in front of them again. */
  const restore = (value: typeof grad, like: typeof left, move: 0 | 1 | undefined): typeof grad => {
    const rank = value.shape.length;
    if (!move) return unbroadcast(b, value, like.shape);
    const order = [rank - 2, ...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1];
    return unbroadcast(b, b.op("Transpose", [value], { perm: order }), like.shape);
  };
  const gradOfA = (): typeof grad =>
    transA
      ? b.op("FusedMatMul", [right, grad], {
          transA: keep(transB),
          transBatchA: keep(transBatchB),
          transB: 1,
          alpha,
        })
      : b.op("FusedMatMul", [grad, right], { transB: flip(transB), transBatchB: keep(transBatchB), alpha });
  const gradOfB = (): typeof grad =>
    transB
      ? b.op("FusedMatMul", [grad, left], {
          transA: 1,
          transB: keep(transA),
          transBatchB: keep(transBatchA),
          alpha,
        })
      : b.op("FusedMatMul", [left, grad], { transA: flip(transA), transBatchA: keep(transBatchA), alpha });
  return [
    needs[0] ? restore(gradOfA(), left, transBatchA) : undefined,
    needs[1] ? restore(gradOfB(), right, transBatchB) : undefined,
  ];
};

export const Gemm: Rule<"Gemm"> = ({ b, inputs, attributes, grad, needs }) => {
  const [left, right, bias] = inputs;
  const { transA, transB, alpha = 1, beta = 1 } = attributes;
  const gradOfA = (): typeof grad =>
    transA
      ? b.op("Gemm", [right, grad], { transA: keep(transB), transB: 1, alpha })
      : b.op("Gemm", [grad, right], { transB: flip(transB), alpha });
  const gradOfB = (): typeof grad =>
    transB
      ? b.op("Gemm", [grad, left], { transA: 1, transB: keep(transA), alpha })
      : b.op("Gemm", [left, grad], { transA: flip(transA), alpha });
  const gradOfBias = (): typeof grad => {
    const summed = unbroadcast(b, grad, bias!.shape);
    return beta === 1 ? summed : b.op("Mul", [summed, b.scalar(beta)]);
  };
  return [
    needs[0] ? gradOfA() : undefined,
    needs[1] ? gradOfB() : undefined,
    needs[2] ? gradOfBias() : undefined,
  ];
};
