import { fromBinary } from "@bufbuild/protobuf";
import {
  type ByteSource,
  type Dim,
  messageOf,
  PtuningError,
  type TensorSource,
  viewBytes,
} from "../core/index.ts";
import {
  type AttributeKind,
  type Graph,
  inferTypes,
  type Node,
  type OpName,
  ops,
  type Value,
  verify,
} from "../graph/index.ts";
import { dtypeOfCode } from "./dtypes.ts";
import {
  type AttributeProto,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from "./onnx_pb.ts";

/**
 * Reads the bytes of a ModelProto that uses only ops of the op table.
 * @param sourceOf what holds the external data of a location; left out, it cannot be read
 * @throws FILE_INVALID if the bytes are not a model, or an op, attribute or type is not in the table
 */
export function decodeModel(
  bytes: Uint8Array,
  sourceOf: (location: string) => ByteSource = unreadable,
): Graph {
  let proto: GraphProto | undefined;
  try {
    proto = fromBinary(ModelProtoSchema, bytes).graph;
  } catch (cause) {
    throw new PtuningError("FILE_INVALID", `ONNX model: not readable (${messageOf(cause)}).`, { cause });
  }
  if (proto === undefined) throw new PtuningError("FILE_INVALID", "ONNX model: expected a graph, got none.");
  const values = new Map<string, Value>();
  const define = (value: Value): Value => {
    values.set(value.name, value);
    return value;
  };
  const inputs = proto.input.map((input) => define(decodeValue(input)));
  const initializers = new Map(
    proto.initializer.map((tensor) => {
      const source = decodeTensor(tensor, sourceOf);
      const { dtype, shape } = source;
      const elements =
        dtype === "int64" && "data" in source && source.data.length <= 64
          ? Array.from(source.data as BigInt64Array, Number)
          : undefined;
      return [define({ name: tensor.name, dtype, shape, ...(elements && { elements }) }), source];
    }),
  );
  const nodes = proto.node.map((node) => decodeNode(node, values, define));
  const outputs = new Map(proto.output.map(({ name }) => [name, lookUp(values, name)]));
  return verify({ name: proto.name, inputs, outputs, nodes, initializers });
}

function lookUp(values: ReadonlyMap<string, Value>, name: string): Value {
  const value = values.get(name);
  if (value === undefined)
    throw new PtuningError("FILE_INVALID", `ONNX model: value "${name}" is not defined.`);
  return value;
}

function decodeNode(
  proto: NodeProto,
  values: ReadonlyMap<string, Value>,
  define: (value: Value) => Value,
): Node {
  const op = proto.opType as OpName;
  if (!Object.hasOwn(ops, op) || ops[op].domain !== proto.domain) {
    const name = `${proto.domain === "" ? "" : `${proto.domain}.`}${proto.opType}`;
    throw new PtuningError(
      "FILE_INVALID",
      `ONNX model: node "${proto.name}" uses ${name}, which is not supported.`,
    );
  }
  const kinds = ops[op].attributes as Readonly<Record<string, AttributeKind>>;
  const attributes = Object.fromEntries(
    proto.attribute.map((attribute) => [
      attribute.name,
      decodeAttribute(attribute, kinds[attribute.name], proto.name),
    ]),
  );
  const inputs = proto.input.map((name) => (name === "" ? undefined : lookUp(values, name)));
  const names = proto.output;
  const types = inferTypes({ op, name: proto.name, inputs, attributes, outputCount: names.length });
  const outputs = types.map((type, i) => define({ name: names[i]!, ...type }));
  return { op, name: proto.name, inputs, outputs, attributes: attributes as Node["attributes"] };
}

function decodeAttribute(proto: AttributeProto, kind: AttributeKind | undefined, node: string): unknown {
  switch (kind) {
    case "int":
      return Number(proto.i ?? 0n);
    case "ints":
      return proto.ints.map(Number);
    case "float":
      return proto.f ?? 0;
    case "string":
      return new TextDecoder().decode(proto.s);
    case "dtype":
      return dtypeOfCode(Number(proto.i ?? 0n), node);
    case undefined:
      throw new PtuningError(
        "FILE_INVALID",
        `ONNX model: node "${node}" has an unknown attribute "${proto.name}".`,
      );
  }
}

/** A source of which nothing is known but its name. */
function unreadable(name: string): ByteSource {
  return {
    name,
    size: 0,
    async read() {
      throw new PtuningError("FILE_INVALID", `${name}: expected a source for external data, got none.`);
    },
  };
}

function decodeTensor(proto: TensorProto, sourceOf: (location: string) => ByteSource): TensorSource {
  const dtype = dtypeOfCode(proto.dataType, proto.name);
  const shape = proto.dims.map(Number);
  if (proto.dataLocation !== 1)
    return { dtype, shape, data: viewBytes(dtype, proto.rawData ?? new Uint8Array()) };
  const entries = Object.fromEntries(proto.externalData.map(({ key, value }) => [key, value]));
  return {
    dtype,
    shape,
    source: sourceOf(entries.location ?? ""),
    offset: Number(entries.offset ?? 0),
    byteLength: Number(entries.length ?? 0),
  };
}

function decodeValue(proto: ValueInfoProto): Value {
  const tensor = proto.type?.value.value;
  const shape = (tensor?.shape?.dim ?? []).map(
    ({ value }): Dim => (value.case === "dimValue" ? Number(value.value) : (value.value ?? "?")),
  );
  return { name: proto.name, dtype: dtypeOfCode(tensor?.elemType ?? 0, proto.name), shape };
}
