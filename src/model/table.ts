/**
 * Graphs whose parameters are rows of one table, so that adapters are numbers and not graphs: where a parameter starts is what
 * is fed. A parameter takes whole rows, and the rest of its last one is not read.
 *
 * Legend: N rows of the table, U its width, B batch, T parameters of the method, F width of what a head reads, R rows of
 * the matrices of all heads of a batch.
 */
import type { BackboneConfig } from "../backbones/index.ts";
import { elementCount, int32s, multiplyDims } from "../core/index.ts";
import { type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { headWeight } from "../heads/index.ts";
import type { ExampleParams, Method, ParamValues } from "../methods/index.ts";
import { steadyAffine } from "../nn/index.ts";
import { logitsOutput } from "./graphs.ts";
import { buildBeneathHead, buildLogits, headParameter, type ModelParts } from "./model.ts";
import { headShapes, type ParamShapes } from "./parameters.ts";

/** Names of the inputs beside those of a batch. */
export const tableInputs = {
  /** `[N, U]` */
  table: "table",
  /** First rows of parameters, int32: `[T]` of one adapter, `[T, B]` of an adapter for each example. */
  starts: "starts",
  /** Rows of the table that the heads' matrices are, int32 `[R, F/U]`. */
  headRows: "head.rows",
  /** Rows of the table that hold their biases, int32 `[Q]`. */
  biasRows: "head.bias.rows",
  /** Where in these each bias is, int32 `[R]`. */
  biasPlaces: "head.bias.places",
} as const;

/** U: the greatest width that all rows of prompts and heads are multiples of. */
export function tableWidth({ keyWidth, hiddenSize, embeddingSize }: BackboneConfig): number {
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  return [hiddenSize, embeddingSize].reduce(common, keyWidth);
}

/** Rows of a table of width U that a parameter takes. */
export function tableRows({ shape }: { readonly shape: readonly number[] }, width: number): number {
  return Math.ceil(elementCount(shape) / width);
}

/** The graph of one adapter: all of its parameters, in this order, are in the table. */
export function tableGraph(parts: ModelParts, params: ParamShapes): Graph {
  const b = new GraphBuilder("inference from a table");
  const width = tableWidth(parts.backbone.config);
  const table = b.input(tableInputs.table, "float32", ["N", width]);
  const names = Object.keys(params);
  const starts = names.length > 0 ? b.input(tableInputs.starts, "int32", [names.length]) : undefined;
  const values: ParamValues = Object.fromEntries(
    names.map((name, i) => {
      const { shape } = params[name]!;
      const rows = b.op("Add", [b.slice(starts!, 0, i, i + 1), counted(b, [tableRows({ shape }, width)])]);
      return [name, b.reshape(cut(b, b.op("Gather", [table, rows], { axis: 0 }), shape), shape)];
    }),
  );
  b.output(logitsOutput, buildLogits(b, parts, values, undefined));
  return b.build();
}

/**
 * The graph of several adapters side by side: each example has the method's parameters of its own adapter, and the logits of all
 * heads are made of each, `[M, R]`. Method and head must be such that can share it (`mixed`, `linear`). What heads read of the untouched backbone is
 * another input, `bareInput`: it is the same for all adapters.
 */
export function mixedGraph(parts: ModelParts): Graph {
  const { backbone, method, head } = parts;
  const { config, architecture } = backbone;
  const b = new GraphBuilder("inference of several adapters");
  const width = tableWidth(config);
  const table = b.input(tableInputs.table, "float32", ["N", width]);
  const params = exampleParams(b, table, method.parameters(config, architecture));
  const mixed: Method = {
    ...method,
    build: (ctx, own, _, of) => method.mixed!.build(ctx, own, params, of),
  };
  const { ctx, head: inputs } = buildBeneathHead(
    b,
    { ...parts, method: mixed },
    {},
    undefined,
    undefined,
    "given",
  );
  const vectors = head.linear!.vectors(ctx, inputs);
  const features = headShapes(parts)[headParameter(parts.headName, headWeight)]!.shape[1]!;
  const rows = b.input(tableInputs.headRows, "int32", ["R", features / width]);
  const matrix = b.reshape(b.op("Gather", [table, rows], { axis: 0 }), ["R", features]);
  const biasRows = b.op("Gather", [table, b.input(tableInputs.biasRows, "int32", ["Q"])], { axis: 0 });
  const biases = b.op(
    "Gather",
    [b.reshape(biasRows, [multiplyDims("Q", width)]), b.input(tableInputs.biasPlaces, "int32", ["R"])],
    { axis: 0 },
  );
  b.output(logitsOutput, steadyAffine(ctx, vectors, matrix, biases));
  return b.build();
}

/** Reads the parameters of each example, all of which `parameters` lists. */
function exampleParams(b: GraphBuilder, table: Value, parameters: ParamShapes): ExampleParams {
  const width = table.shape[1] as number;
  const names = Object.keys(parameters);
  const starts = names.length > 0 ? b.input(tableInputs.starts, "int32", [names.length, "B"]) : undefined;
  const startOf = (name: string): Value => {
    const i = names.indexOf(name);
    return b.slice(starts!, 0, i, i + 1);
  };
  const shapeOf = (name: string): readonly [rows: number, columns: number] =>
    parameters[name]!.shape as [number, number];
  return {
    columns(name, first, wanted) {
      const [rows, columns] = shapeOf(name);
      const each = wanted / width;
      const places = Array.from({ length: rows * each }, (_, i) => {
        const [row, unit] = [Math.floor(i / each), i % each];
        return (row * columns + first) / width + unit;
      });
      const found = b.op("Add", [
        b.reshape(startOf(name), [1, "B", 1]),
        b.initializer(`${name} ${first}`, int32s([rows, 1, each], places)),
      ]);
      return b.reshape(b.op("Gather", [table, found], { axis: 0 }), [rows, "B", wanted]);
    },
    row(name, row) {
      const [rows, columns] = shapeOf(name);
      const taken = tableRows({ shape: [rows, columns] }, width);
      const found = b.op("Add", [b.reshape(startOf(name), ["B", 1]), counted(b, [1, taken])]);
      const flat = b.reshape(b.op("Gather", [table, found], { axis: 0 }), ["B", taken * width]);
      return b.slice(flat, 1, row * columns, (row + 1) * columns);
    },
  };
}

/** 0, 1, 2 … */
function counted(b: GraphBuilder, shape: readonly number[]): Value {
  const count = elementCount(shape);
  return b.shared(`counted ${shape}`, () =>
    int32s(
      shape,
      Array.from({ length: count }, (_, i) => i),
    ),
  );
}

/** The numbers of a parameter of its rows `[n, U]`, flat. */
function cut(b: GraphBuilder, rows: Value, shape: readonly number[]): Value {
  const [taken, width] = rows.shape as [number, number];
  const count = elementCount(shape);
  const flat = b.reshape(rows, [taken * width]);
  return count === taken * width ? flat : b.slice(flat, 0, 0, count);
}
