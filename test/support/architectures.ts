/** Architectures with a golden checkpoint, and a batch that all of them read. Legend: S positions, B texts. */
import { existsSync, readdirSync } from "node:fs";
import { int32s, type TensorMap } from "ptuning/internal/core";
import { goldenPath } from "./golden.ts";

/** Folders of test/golden. */
export const architectures: readonly string[] = readdirSync(goldenPath("")).filter((name) =>
  ["model.safetensors", "golden.json"].every((file) => existsSync(goldenPath(`${name}/${file}`))),
);

/** S of the batch. */
export const length = 9;
/** B of the batch. */
export const batch = 3;
const lengths = [9, 4, 7];

/** Three texts of other lengths, `[S, B]`. */
export const feeds: TensorMap = {
  input_ids: int32s(
    [length, batch],
    Int32Array.from({ length: length * batch }, (_, i) => 5 + ((i * 7) % 30)),
  ),
  token_type_ids: int32s([length, batch], new Int32Array(length * batch)),
  attention_mask: int32s(
    [length, batch],
    Int32Array.from({ length: length * batch }, (_, i) =>
      Math.floor(i / batch) < lengths[i % batch]! ? 1 : 0,
    ),
  ),
};
