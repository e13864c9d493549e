/** Legend: N rows, nb blocks of a row. */
import { floats } from "../core/index.ts";
import type { GraphBuilder } from "./builder.ts";
import { numbersOfByte } from "./byte-numbers.ts";
import type { Value } from "./graph.ts";

/**
 * 4-bit numbers times the scale of their block, as floats: uint8 `[N, nb, block / 2]`, the lower half of a byte first, and
 * scales `[N, nb, 1]` → `[N, nb, block]`. The numbers of each byte are looked up, which takes a quarter of the time of ONNX
 * Runtime's own op for it, and no arithmetic on bits.
 */
export function fourBitFloats(b: GraphBuilder, bytes: Value, scales: Value): Value {
  const pairs = b.shared("numbers of a byte", () =>
    floats([256, 2], Array.from({ length: 256 }, (_, byte) => numbersOfByte(byte)).flat()),
  );
  const numbers = b.op("Gather", [pairs, b.op("Cast", [bytes], { to: "int32" })], { axis: 0 });
  const [rows, blocks, half] = bytes.shape as readonly [Value["shape"][number], number, number];
  return b.op("Mul", [b.reshape(numbers, [rows, blocks, 2 * half]), scales]);
}
