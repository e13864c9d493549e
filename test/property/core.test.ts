/** Properties that hold for every input: dims, random streams, safetensors files, batches. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import {
  addDims,
  type Dim,
  divideDims,
  evaluateDim,
  multiplyDims,
  PtuningError,
  Rng,
  type Tensor,
} from "ptuning/internal/core";
import { encodeSafetensors, readSafetensors } from "ptuning/internal/files";
import {
  forwardBatches,
  paddedLength,
  SequenceCollector,
  shuffledBatches,
  tokenCount,
} from "ptuning/internal/text";
import { afterAll, beforeAll, expect, test } from "vitest";

const bindings = { B: 3, S: 7, P: 20 };
const dim: fc.Arbitrary<Dim> = fc.letrec<{ dim: Dim }>((tie) => ({
  dim: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<Dim>("B", "S", "P"),
    fc.integer({ min: 0, max: 9 }),
    fc.tuple(tie("dim"), tie("dim")).map(([a, b]) => addDims(a, b)),
    fc.tuple(tie("dim"), tie("dim")).map(([a, b]) => multiplyDims(a, b)),
  ),
})).dim;
const value = (d: Dim): number => evaluateDim(d, bindings)!;

test("dims add, multiply and divide as the numbers they stand for; equal polynomials are the same dim", () => {
  fc.assert(
    fc.property(dim, dim, dim, (a, b, c) => {
      expect(value(addDims(a, b))).toBe(value(a) + value(b));
      expect(value(multiplyDims(a, b))).toBe(value(a) * value(b));
      expect(multiplyDims(a, addDims(b, c))).toBe(addDims(multiplyDims(a, b), multiplyDims(a, c)));
      expect(divideDims(multiplyDims(a, "S"), "S")).toBe(a);
    }),
  );
});

test("a random stream depends on its seed and path alone, never on what the parent has drawn", () => {
  fc.assert(
    fc.property(fc.integer(), fc.array(fc.string()), fc.nat(50), (seed, path, drawn) => {
      const parent = new Rng(seed);
      for (let i = 0; i < drawn; i++) parent.normal();
      const expected = new Rng(seed, ...path);
      const child = parent.split(...path);
      for (let i = 0; i < 5; i++) expect(child.uint32()).toBe(expected.uint32());
    }),
  );
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-property-"));
});
afterAll(() => rm(folder, { recursive: true }));

const tensors: fc.Arbitrary<Record<string, Tensor>> = fc.dictionary(
  fc.string({ minLength: 1 }).filter((name) => name !== "__metadata__" && name !== "__proto__"),
  fc.array(fc.float({ noNaN: true }), { maxLength: 20 }).map((values): Tensor => {
    return { dtype: "float32", shape: [values.length], data: Float32Array.from(values) };
  }),
  { maxKeys: 5 },
);

test("safetensors files give back what was written", async () => {
  await fc.assert(
    fc.asyncProperty(
      tensors,
      fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
      async (given, metadata) => {
        const path = join(folder, "round-trip.safetensors");
        await writeFile(path, encodeSafetensors(given, metadata));
        const read = await readSafetensors(path);
        expect({ ...read.tensors }).toEqual({ ...given });
        expect({ ...read.metadata }).toEqual({ ...metadata });
      },
    ),
    { numRuns: 50 },
  );
});

test("a damaged safetensors file is read or refused with a reason, never anything else", async () => {
  const good = encodeSafetensors({ a: { dtype: "float32", shape: [4], data: new Float32Array(4) } }, {});
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), async (at, byte, cut) => {
      const damaged = good.slice(0, Math.max(cut, at + 1));
      damaged[at] = byte;
      const path = join(folder, "damaged.safetensors");
      await writeFile(path, damaged);
      await readSafetensors(path).catch((error: unknown) => {
        expect(error).toBeInstanceOf(PtuningError);
        expect((error as PtuningError).message).toContain(path);
      });
    }),
    { numRuns: 200 },
  );
});

test("every row is in exactly one batch, in training and in evaluation", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer(),
      (lengths, batchSize, seed) => {
        const collector = new SequenceCollector();
        for (const length of lengths) collector.add(new Int32Array(length), new Uint8Array(length), false);
        const sequences = collector.finish();
        const rows = lengths.map((_, row) => row);
        const trained = shuffledBatches({ sequences }, batchSize, new Rng(seed));
        expect(trained.flatMap((batch) => [...batch]).sort((a, b) => a - b)).toEqual(rows);
        expect(trained.every((batch) => batch.length <= batchSize)).toBe(true);
        const batches = forwardBatches(sequences, 37);
        for (const { rows, length } of batches)
          for (const row of rows) expect(paddedLength(lengths[row]!, 37)).toBe(length);
        const forward = batches.flatMap((batch) => [...batch.rows]);
        expect([...forward].sort((a, b) => a - b)).toEqual(rows);
        const counts = forward.map((row) => tokenCount(sequences, row));
        expect(counts).toEqual(counts.toSorted((a, b) => a - b));
      },
    ),
  );
});
