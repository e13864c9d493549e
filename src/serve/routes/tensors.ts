import { PtuningError } from "../../core/index.ts";
import type { InputForm, TensorFacts } from "../forms/index.ts";
import type { GivenTensor } from "./schemas.ts";

/**
 * The examples that tensors hold, one per row, as the other routes have them.
 * @throws REQUEST_INVALID if names, types or shapes do not fit
 */
export function tensorItems(given: readonly GivenTensor[], form: InputForm): unknown[] {
  const byName = new Map(given.map((tensor) => [tensor.name, tensor]));
  const names = form.tensors.map(({ name }) => name);
  for (const { name } of given) {
    if (!names.includes(name))
      throw misfit(`inputs: expected ${names.join(", ")}, got "${name.slice(0, 80)}".`);
  }
  if (byName.size < given.length) throw misfit("inputs: expected different names, got one twice.");
  const columns = form.tensors.flatMap((facts) => {
    const tensor = byName.get(facts.name);
    if (tensor !== undefined) return [{ name: facts.name, rows: rowsOf(tensor, facts) }];
    if (form.optional.includes(facts.name)) return [];
    throw misfit(`inputs: expected ${facts.name}, got none.`);
  });
  const count = columns[0]!.rows.length;
  const other = columns.find(({ rows }) => rows.length !== count);
  if (other !== undefined) throw misfit(`${other.name}: expected ${count} rows, got ${other.rows.length}.`);
  return Array.from({ length: count }, (_, i) =>
    form.row(Object.fromEntries(columns.map(({ name, rows }) => [name, rows[i]!]))),
  );
}

/** The values of each row of a tensor. */
function rowsOf({ name, shape, datatype, data }: GivenTensor, facts: TensorFacts): (string | number)[][] {
  const isText = facts.datatype === "BYTES";
  const types = isText
    ? ["BYTES"]
    : ["INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8"];
  if (!types.includes(datatype)) {
    throw misfit(`${name}: expected datatype ${types[0]}, got ${datatype.slice(0, 20)}.`);
  }
  const values = data.flat() as (string | number)[];
  const wanted = isText ? "string" : "number";
  if (values.some((value) => typeof value !== wanted)) {
    throw misfit(`${name}: expected data of ${wanted}s, got something else among them.`);
  }
  const size = shape.reduce((product, axis) => product * axis, 1);
  if (size !== values.length) {
    throw misfit(`${name}: expected ${size} values, as its shape says, got ${values.length}.`);
  }
  const rows = shape[0]!;
  const width = rows === 0 ? 0 : size / rows;
  // One value per row may stand in an axis of its own.
  if (facts.shape.length === 1 && width > 1)
    throw misfit(`${name}: expected shape [${rows}], got [${shape.join(", ")}].`);
  return Array.from({ length: rows }, (_, i) => values.slice(i * width, (i + 1) * width));
}

function misfit(message: string): PtuningError {
  return new PtuningError("REQUEST_INVALID", message);
}
