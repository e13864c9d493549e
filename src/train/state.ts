import * as z from "zod";
import type { BackboneReference } from "../adapters/index.ts";
import { type ByteSource, bytesOf, type Params, PtuningError, type Tensor, withOpen } from "../core/index.ts";
import {
  createSha256,
  hex,
  type PendingTensor,
  readSafetensorsHeader,
  readTensor,
  type Sha256,
  streamSafetensors,
} from "../files/portable.ts";
import type { OptimizerState } from "../optim/index.ts";
import type { Evaluation } from "../tasks/index.ts";

/** One evaluation on dev. */
export interface EvaluationRecord extends Evaluation {
  readonly step: number;
  readonly epoch: number;
  /** Whether it is of training rows that short runs left out in turns, as there is no dev set. */
  readonly leftOut?: boolean;
}

/** What a training state belongs to, as configs and adapters name it. */
export interface StateOrigin {
  readonly backbone: BackboneReference;
  readonly method: { readonly name: string; readonly options: Readonly<Record<string, unknown>> };
  /** By the names of their heads; "" where there is only one. */
  readonly tasks: Readonly<
    Record<string, { readonly type: string; readonly options: Readonly<Record<string, unknown>> }>
  >;
}

/** What a training state says beside its tensors. */
export interface StateFacts {
  /** Updates done. */
  readonly step: number;
  readonly evaluations: readonly EvaluationRecord[];
  /** Sum and number of the losses since the last evaluation. */
  readonly lossSum: number;
  readonly lossCount: number;
  /** What was trained on what, so that another run can start from it. */
  readonly origin: StateOrigin;
  /** The settings and data that the run began with; a run resumes only under the same. */
  readonly identity: string;
}

/** Everything that a run needs to go on as if it had never stopped. */
export interface TrainingState extends StateFacts {
  readonly params: Params;
  readonly optimizer: OptimizerState;
  /** The state that evaluated best so far. */
  readonly best: { readonly evaluation: EvaluationRecord; readonly params: Params } | undefined;
  /** Weights that the checkpoint lacks and that are not trained. */
  readonly frozen: Params;
  /** Tensors of a head that is not trained. */
  readonly fixed: Params;
}

/** A tensor that is read when its turn comes. */
interface ReadableTensor {
  readonly shape: readonly number[];
  /** May be the owner's own memory. */
  read(): Promise<Tensor<"float32">>;
}

/** A group of them, by name. */
export type ReadableTensors = Readonly<Record<string, ReadableTensor>>;

const groups = ["params", "optimizer", "best", "frozen", "fixed"] as const;

/** A state of which one tensor is in memory at a time. */
export interface ReadableState {
  readonly facts: StateFacts;
  readonly best: EvaluationRecord | undefined;
  readonly tensors: { readonly [G in (typeof groups)[number]]: ReadableTensors };
}

/** Tensors in memory as readable ones. */
export function readable(params: Params): ReadableTensors {
  return Object.fromEntries(
    Object.entries(params).map(([name, tensor]) => [
      name,
      { shape: tensor.shape, read: async () => tensor as Tensor<"float32"> },
    ]),
  );
}

/** Reads a state into memory: copies, whoever owns what was read. */
export async function collectState({ facts, best, tensors }: ReadableState): Promise<TrainingState> {
  const collect = async (group: ReadableTensors): Promise<Params> => {
    const collected: Record<string, Params[string]> = {};
    for (const [name, tensor] of Object.entries(group)) {
      const { dtype, shape, data } = await tensor.read();
      collected[name] = { dtype, shape: [...shape], data: data.slice() };
    }
    return collected;
  };
  const { params, optimizer, frozen, fixed } = tensors;
  return {
    ...structuredClone(facts),
    params: await collect(params),
    optimizer: await collect(optimizer),
    frozen: await collect(frozen),
    fixed: await collect(fixed),
    best: best && { evaluation: structuredClone(best), params: await collect(tensors.best) },
  };
}

/**
 * Version of the file: 2 has a checksum and writes numbers that JSON has not as texts. Files without a version are of
 * version 1.
 */
const formatVersion = 2;

/** The last tensor of the file: SHA-256 of all bytes before it. */
const checksumName = "sha256";

/**
 * A training state as the pieces of one safetensors file, of which one tensor is in memory at a time.
 * Nothing may change the state until the last piece is taken.
 */
export function encodeState({ facts, best, tensors }: ReadableState): AsyncGenerator<Uint8Array> {
  const hash = createSha256();
  const pending: Record<string, PendingTensor> = {};
  for (const group of groups) {
    for (const [name, { shape, read }] of Object.entries(tensors[group])) {
      pending[`${group}/${name}`] = {
        dtype: "float32",
        shape,
        bytes: async () => bytesOf((await read()).data),
      };
    }
  }
  // Elements of one byte come last in the file, and there are no others of them.
  pending[checksumName] = { dtype: "uint8", shape: [hash.digest().length], bytes: () => hash.digest() };
  const text = writeFacts({ formatVersion, ...facts, ...(best && { best }) });
  return hashed(streamSafetensors(pending, { ptuning: text }), hash);
}

/** A state in memory as one that is read tensor by tensor. */
export function readableState(state: TrainingState): ReadableState {
  const { params, optimizer, best, frozen, fixed, ...facts } = state;
  const tensors = {
    params: readable(params),
    optimizer: readable(optimizer),
    best: readable(best?.params ?? {}),
    frozen: readable(frozen),
    fixed: readable(fixed),
  };
  return { facts, best: best?.evaluation, tensors };
}

/** The system takes and hashes no more than 2 GiB at once. */
const pieceBytes = 1 << 26;

function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

async function* hashed(chunks: AsyncIterable<Uint8Array>, hash: Sha256): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    for (const piece of inPieces(chunk)) {
      hash.update(piece);
      yield piece;
    }
  }
}

/** Numbers that JSON has not, by the text that stands for them. */
const oddNumbers: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

function writeFacts(facts: object): string {
  return JSON.stringify(facts, (_, value) =>
    typeof value === "number" && !Number.isFinite(value) ? { number: String(value) } : value,
  );
}

function readFacts(text: string): unknown {
  return JSON.parse(text, (_, value) => {
    const odd = Object.keys(value ?? {}).join() === "number" ? oddNumbers[value.number] : undefined;
    return odd ?? value;
  });
}

const count = z.int().nonnegative();
// Version 1 wrote NaN as null.
const score = z.preprocess(
  (value) => (value === null ? Number.NaN : value),
  z.custom<number>((value) => typeof value === "number", "expected a number"),
);
const evaluationSchema = z.looseObject({
  step: count,
  epoch: z.number().nonnegative(),
  scores: z.record(z.string(), score),
  loss: score,
  collapsed: z.boolean(),
});
const factsSchema = z.looseObject({
  formatVersion: count.default(1),
  step: count,
  evaluations: z.array(evaluationSchema),
  lossSum: score,
  lossCount: count,
  identity: z.string(),
  origin: z.looseObject({
    backbone: z.looseObject({ id: z.string(), fingerprint: z.string() }),
    method: z.looseObject({ name: z.string(), options: z.record(z.string(), z.unknown()) }),
    tasks: z.record(
      z.string(),
      z.looseObject({ type: z.string(), options: z.record(z.string(), z.unknown()) }),
    ),
  }),
  best: evaluationSchema.optional(),
});

/**
 * Reads the bytes of a training state, of this version or an older one.
 * @throws RUN_INVALID if they are damaged or of a newer version
 */
export async function parseState(source: ByteSource): Promise<TrainingState> {
  try {
    return await withOpen(source, readWhole);
  } catch (cause) {
    if (cause instanceof PtuningError && cause.code === "RUN_INVALID") throw cause;
    throw damagedState(source.name, "a damaged file", cause);
  }
}

/** RUN_INVALID about a file. */
export function damagedState(path: string, got: string, cause?: unknown): PtuningError {
  return new PtuningError("RUN_INVALID", `${path}: expected a training state, got ${got}.`, {
    hint: "The run cannot be resumed: start it anew in another folder.",
    cause,
  });
}

async function readWhole(source: ByteSource): Promise<TrainingState> {
  const path = source.name;
  const { tensors, metadata } = await readSafetensorsHeader(source);
  const given = readFacts(metadata.ptuning ?? "");
  const version = (given as { formatVersion?: unknown } | null)?.formatVersion ?? 1;
  if (typeof version === "number" && version > formatVersion) {
    throw new PtuningError(
      "RUN_INVALID",
      `${path}: expected a training state of version ${formatVersion} or less, got ${version}.`,
      { hint: "It was written by a newer version of ptuning: update the package." },
    );
  }
  const parsed = factsSchema.safeParse(given);
  if (!parsed.success) {
    const { path: key, message } = parsed.error.issues[0]!;
    throw damagedState(path, `one with ${key.join(".")}: ${message}`);
  }
  const entries = [...tensors].sort(([, a], [, b]) => a.offset - b.offset);
  const hash = createSha256();
  let end = entries[0]?.[1].offset ?? source.size;
  for (const piece of inPieces(await source.read(0, end))) hash.update(piece);
  const read: { [G in (typeof groups)[number]]: Record<string, Params[string]> } = {
    ...{ params: {}, optimizer: {}, best: {}, frozen: {}, fixed: {} },
  };
  let sum: string | undefined;
  for (const [name, entry] of entries) {
    const tensor = await readTensor(source, entry);
    if (entry.offset !== end || sum !== undefined) throw damagedState(path, "one with bytes of no tensor");
    end += entry.byteLength;
    if (name === checksumName) sum = hex(bytesOf(tensor.data));
    else for (const piece of inPieces(bytesOf(tensor.data))) hash.update(piece);
    const [group, ...rest] = name.split("/");
    if (group !== undefined && Object.hasOwn(read, group))
      read[group as keyof typeof read][rest.join("/")] = tensor as Params[string];
  }
  if (end !== source.size) throw damagedState(path, "one with bytes of no tensor");
  if (version !== 1 && sum !== hex(hash.digest()))
    throw damagedState(path, "bytes that do not fit their checksum");
  const {
    formatVersion: _,
    best,
    ...facts
  } = parsed.data as unknown as StateFacts & {
    readonly formatVersion: number;
    readonly best: EvaluationRecord | undefined;
  };
  const { best: bestParams, ...others } = read;
  return { ...facts, ...others, best: best && { evaluation: best, params: bestParams } };
}
