/** Rows of the grid: drawn once for all contenders, and what says which they are. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { completeConfig, parseConfig, readData } from "../../dist/config/index.js";
import { Rng } from "../../dist/core/index.js";
import { drawShots } from "../../dist/data/index.js";
import { root } from "../prepare.mjs";
import { hashOf } from "./plan.mjs";

const plain = ({ text, pair, label, words, tags }) =>
  words === undefined ? { text, ...(pair !== undefined && { pair }), label } : { words, tags };

/**
 * All rows of a set: those for training, nothing of them split off, and those of the test. A dev file of the recipe stays
 * unused: what is chosen on held-out rows costs training rows, for every contender.
 */
export async function readSet({ recipe, kind, without }) {
  const where = join(root, recipe);
  const config = parseConfig({ text: readFileSync(where, "utf8"), where });
  const { train, test } = await readData(
    await completeConfig({ ...config, data: { ...config.data, devShare: 0 } }),
  );
  const kept = (examples) =>
    Array.from(examples, plain).filter(({ label }) => without === undefined || label !== without);
  return { kind, train: kept(train), test: kept(test) };
}

/** The test rows: all, or as many as the plan says, drawn with its seed, in the order of the file. */
export function drawTest({ test }, { rows, seed }) {
  if (test.length <= rows) return test;
  const order = new Rng(seed, "test").shuffle(Int32Array.from(test.keys()));
  return Array.from(order.slice(0, rows).sort(), (i) => test[i]);
}

/** The training rows of a cell with a seed: all, or so many per label. */
export function drawTrain({ train, kind }, rows, seed) {
  return rows === "all" ? train : drawShots(train, kind === "tags" ? "tokens" : "text", rows, seed);
}

/** What says which rows a run had. */
export const fingerprintOf = (train, test) => ({ train: hashOf(train), test: hashOf(test) });

/** A row as a contender may see it before it answers. */
export const withoutAnswer = ({ label, tags, ...row }) => row;
