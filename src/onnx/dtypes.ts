import { type DType, PtuningError } from "../core/index.ts";

/** TensorProto.DataType of the ONNX specification. */
const codes: { readonly [D in DType]: number } = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
};

export function onnxCode(dtype: DType): number {
  return codes[dtype];
}

export function dtypeOfCode(code: number, where: string): DType {
  const found = (Object.keys(codes) as DType[]).find((dtype) => codes[dtype] === code);
  if (found === undefined)
    throw new PtuningError("FILE_INVALID", `${where}: unknown ONNX data type ${code}.`);
  return found;
}
