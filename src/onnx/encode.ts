import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type DType, type ExternalTensor, fileName, isExternal, type TensorSource } from "../core/index.ts";
import { type AttributeKind, type Graph, type Node, specOf, type Value } from "../graph/index.ts";
import { onnxCode } from "./dtypes.ts";
import {
  type AttributeProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "./onnx_pb.ts";

/** The operator sets that the op table is written against, and ONNX's file format version that has them. */
const opsetImports: { readonly [domain: string]: number } = { "": 21, "com.microsoft": 1 };
const irVersion = 10;

/** AttributeProto.AttributeType of the ONNX specification. */
const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** Where a runtime finds the bytes of a tensor. */
export interface TensorPlace {
  /** Name of a file, or of bytes in memory: the runtime is told the folder, or the bytes. */
  readonly location: string;
  /** First byte there. */
  readonly offset: number;
}

/** In a file of the name of its source. */
const inOwnFile = ({ source, offset }: ExternalTensor): TensorPlace => ({
  location: fileName(source),
  offset,
});

/**
 * A graph as the bytes of an ONNX ModelProto.
 * @param placeOf where the runtime finds external tensors; left out, in files of the names of their sources
 */
export function encodeModel(
  graph: Graph,
  placeOf: (tensor: ExternalTensor) => TensorPlace = inOwnFile,
): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(irVersion),
    producerName: "ptuning",
    opsetImport: Object.entries(opsetImports)
      .filter(([domain]) => domain === "" || graph.nodes.some(({ op }) => specOf(op).domain === domain))
      .map(([domain, version]) => ({ domain, version: BigInt(version) })),
    graph: {
      name: graph.name,
      node: graph.nodes.map(encodeNode),
      initializer: [...graph.initializers].map(([value, source]) =>
        encodeTensor(value.name, source, placeOf),
      ),
      input: graph.inputs.map(encodeValue),
      output: [...graph.outputs.values()].map(encodeValue),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

function encodeNode(node: Node): MessageInitShape<typeof NodeProtoSchema> {
  const { domain, attributes } = specOf(node.op);
  const kinds = attributes as Readonly<Record<string, AttributeKind>>;
  return {
    name: node.name,
    opType: node.op,
    domain,
    input: node.inputs.map((input) => input?.name ?? ""),
    output: node.outputs.map((output) => output.name),
    attribute: Object.entries(node.attributes)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => encodeAttribute(name, kinds[name]!, value)),
  };
}

function encodeAttribute(
  name: string,
  kind: AttributeKind,
  value: unknown,
): MessageInitShape<typeof AttributeProtoSchema> {
  switch (kind) {
    case "int":
      return { name, type: attributeTypes.int, i: BigInt(value as number) };
    case "ints":
      return { name, type: attributeTypes.ints, ints: (value as number[]).map(BigInt) };
    case "float":
      return { name, type: attributeTypes.float, f: value as number };
    case "string":
      return { name, type: attributeTypes.string, s: new TextEncoder().encode(value as string) };
    case "dtype":
      return { name, type: attributeTypes.int, i: BigInt(onnxCode(value as DType)) };
  }
}

function encodeTensor(
  name: string,
  source: TensorSource,
  placeOf: (tensor: ExternalTensor) => TensorPlace,
): MessageInitShape<typeof TensorProtoSchema> {
  const shared = { name, dataType: onnxCode(source.dtype), dims: source.shape.map(BigInt) };
  if (isExternal(source)) {
    const entries = { ...placeOf(source), length: source.byteLength };
    const externalData = Object.entries(entries).map(([key, value]) => ({ key, value: String(value) }));
    return { ...shared, dataLocation: 1, externalData };
  }
  const { buffer, byteOffset, byteLength } = source.data;
  return { ...shared, rawData: new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength) };
}

function encodeValue({ name, dtype, shape }: Value): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = shape.map((length) => ({
    value:
      typeof length === "number"
        ? { case: "dimValue" as const, value: BigInt(length) }
        : { case: "dimParam" as const, value: length },
  }));
  return {
    name,
    type: { value: { case: "tensorType", value: { elemType: onnxCode(dtype), shape: { dim } } } },
  };
}
