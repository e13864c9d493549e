/**
 * Tokenizers that are built from a SentencePiece model, from vocab.json and merges.txt or from vocab.txt give every text
 * the ids and places that its reference gives: SentencePiece for DeBERTa v2, XLM-RoBERTa and CamemBERT, transformers
 * 4.33.3 for the others. Vocabularies are trained on ../shared/data. small: every 400th text; full: every fourth of those that
 * have a word of their own (numbers are one word), as no token goes beyond a blank. Odd ones always.
 *
 * Texts may differ for four reasons, which are counted.
 * ties: two cuts are equally probable within the 32 bits in which SentencePiece adds up over a text.
 * accents: a letter's accent stands behind another one, or behind a full-width letter: the native library looks for one
 * rule per visible character.
 * punctuation: where it is split off, rules for characters come first here and last there (… is three points), and a ▁ of
 * the text's own gets no other.
 * expansions: of the pieces that one character became (½ is 1⁄2) a blank counts to the character or to none.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { locateBackbone } from "ptuning/internal/backbones";
import { openTokenizer } from "ptuning/internal/text";
import { root } from "../prepare.mjs";
import { referencePython } from "../reference/run.mjs";
import { cover, everyText, oddTexts } from "./support/texts.mjs";

/** As in tokenizer_kinds_live.py. */
const [pairEvery, wordsEvery] = [16, 32];
const chunkSize = 4096;

/** Which texts are compared, and which of all the vocabularies are trained on. */
const every = { small: { text: 400, sample: 160 }, full: { text: 4, sample: 16 } };

/** The small form: one of each kind of vocabulary and of rules around it. */
const usualKinds = [
  ...["deberta-v2", "deberta-v2-punct", "xlm-roberta", "camembert"],
  ...["albert", "deberta", "glm", "bert"],
];

/** Those whose places SentencePiece itself says. */
const ofSentencePiece = ["deberta-v2", "xlm-roberta", "camembert"];

const kinds = [
  "deberta-v2",
  "deberta-v2-lower",
  "deberta-v2-punct",
  "xlm-roberta",
  "camembert",
  "albert",
  "roberta",
  "deberta",
  "glm",
  "bert",
  "bert-cased",
  "electra",
  "distilbert",
];

function python(...args) {
  const script = join(root, "tools/reference/tokenizer_kinds_live.py");
  const env = {
    ...process.env,
    TRANSFORMERS_VERBOSITY: "error",
    HF_HUB_OFFLINE: "1",
    TOKENIZERS_PARALLELISM: "false",
  };
  const { status, stderr } = spawnSync(referencePython("tokenizers"), [script, ...args], {
    encoding: "utf8",
    env,
  });
  if (status !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
}

const short = (numbers) =>
  createHash("sha256")
    .update(new Uint8Array(Int32Array.from(numbers).buffer))
    .digest("hex")
    .slice(0, 16);

/** Ids and places of texts, whole. */
async function encoded(tokenizer, texts, kind) {
  const { ids, starts, charStarts, charEnds } = await tokenizer.encodeTexts(texts);
  const placeOf = ofSentencePiece.includes(kind) ? cover : (_, start, end) => [start, end];
  return texts.map((text, i) => {
    const own = (values) => values.subarray(starts[i], starts[i + 1]);
    const places = Array.from(own(charStarts)).flatMap((start, k) => placeOf(text, start, own(charEnds)[k]));
    return { ids: [...own(ids)], places };
  });
}

async function compare(folder, kind, texts, path) {
  const out = join(folder, "out.jsonl");
  python("encode", folder, kind, path, out);
  const lines = readLines(out);
  const tokenizer = await openTokenizer(join(folder, kind));
  const differing = new Set();
  let withoutPlaces = 0;
  for (let start = 0; start < texts.length; start += chunkSize) {
    const chunk = texts.slice(start, start + chunkSize);
    for (const [k, { ids, places }] of (await encoded(tokenizer, chunk, kind)).entries()) {
      const [theirIds, theirPlaces] = lines[start + k];
      if (theirPlaces === null) withoutPlaces++;
      if (short(ids) !== theirIds || (theirPlaces !== null && short(places) !== theirPlaces))
        differing.add(start + k);
    }
  }
  const unexplained = [];
  const miss = (i, what) => unexplained.push({ what, text: texts[i].slice(0, 200) });
  const pairs = texts.flatMap((text, i) =>
    i % pairEvery === 0 && i + 1 < texts.length ? [[text, texts[i + 1]]] : [],
  );
  const whole = await tokenizer.encode(pairs, 1_000_000);
  for (const [k, [theirIds, theirTypes]] of lines
    .slice(texts.length, texts.length + pairs.length)
    .entries()) {
    const i = k * pairEvery;
    if (differing.has(i) || differing.has(i + 1)) continue;
    const own = (values) => short(values.subarray(whole.starts[k], whole.starts[k + 1]));
    if (own(whole.ids) !== theirIds || own(whole.typeIds) !== theirTypes) miss(i, "pair");
  }
  const sentences = texts.filter((_, i) => i % wordsEvery === 0).map((text) => text.split(" "));
  const words = await tokenizer.encodeWords(sentences);
  for (const [k, [theirIds, theirSorted]] of lines.slice(texts.length + pairs.length).entries()) {
    const i = k * wordsEvery;
    const ids = words.ids.subarray(words.starts[k], words.starts[k + 1]);
    // A tie may be one for the word alone only.
    if (differing.has(i) || short(ids) === theirIds || short(ids.toSorted()) === theirSorted) continue;
    miss(i, "words");
  }
  const why = { ties: 0, accents: 0, punctuation: 0, expansions: 0 };
  for (const { reason, ...one } of await explained(folder, kind, tokenizer, texts, [...differing], path)) {
    if (reason === undefined) unexplained.push(one);
    else why[reason]++;
  }
  return { texts: texts.length, withoutPlaces, ...why, unexplained };
}

/** Why texts differ, where it is for one of the reasons at the head of this file. */
async function explained(folder, kind, tokenizer, texts, differing, path) {
  if (differing.length === 0) return [];
  const out = join(folder, "shown.jsonl");
  python("encode", folder, kind, path, out, ...differing.map(String));
  const theirs = readLines(out);
  const ours = await encoded(
    tokenizer,
    differing.map((i) => texts[i]),
    kind,
  );
  const scores = join(folder, kind, "scores.json");
  const isTie = tieOf(existsSync(scores) ? JSON.parse(readFileSync(scores, "utf8")) : undefined);
  return differing.map((i, k) => {
    const [text, own, [ids, places]] = [texts[i], ours[k], theirs[k]];
    const isSame = String(own.ids) === String(ids);
    const isExpanded = text.normalize("NFKC") !== text;
    const reasons = isSame
      ? { expansions: isExpanded }
      : {
          ties: isTie(own.ids, ids),
          accents: /\p{M}/u.test(text),
          punctuation: kind === "deberta-v2-punct" && (isExpanded || text.includes("\u2581")),
        };
    const reason = Object.keys(reasons).find((name) => reasons[name]);
    if (reason) return { reason };
    return { what: isSame ? "places" : "ids", text: text.slice(0, 300), own, ids, places };
  });
}

/** What SentencePiece adds up over a whole text, in 32 bits, is that exact. */
const rounding = 2e-6;

/** Whether two cuts are equally probable; without scores, whether they are the same pieces in another order. */
function tieOf(scores) {
  if (scores === undefined) {
    const sorted = (ids) => String(ids.toSorted((a, b) => a - b));
    return (ours, theirs) => sorted(ours) === sorted(theirs);
  }
  const total = (ids) => ids.reduce((sum, id) => sum + (scores[id] ?? 0), 0);
  return (ours, theirs) => {
    const [own, other] = [total(ours), total(theirs)];
    // The library adds up in 64 bits: its cut is never the less probable one.
    return own - other > -1e-6 && own - other < 1e-6 + rounding * Math.abs(other);
  };
}

function withNewWords(texts) {
  const seen = new Set();
  return texts.filter((text) => {
    const before = seen.size;
    for (const word of text.split(/\s/)) seen.add(word.replace(/\d+/g, "0"));
    return seen.size > before;
  });
}

const readLines = (path) => readFileSync(path, "utf8").split("\n").filter(Boolean).map(JSON.parse);

/** Real vocabularies: what is built from them is the tokenizer.json that lies beside them. */
const real = ["minilm", "mpnet"];

async function compareReal(folder, name, texts) {
  const located = await locateBackbone(name, { offline: true }).catch(() => undefined);
  if (located === undefined) return undefined;
  const built = join(folder, name);
  mkdirSync(built);
  for (const file of ["config.json", "vocab.txt"])
    copyFileSync(join(located.folder, file), join(built, file));
  const [ours, theirs] = [await openTokenizer(built), await openTokenizer(located.folder)];
  let differing = 0;
  for (let start = 0; start < texts.length; start += chunkSize) {
    const chunk = texts.slice(start, start + chunkSize);
    const [own, expected] = await Promise.all([ours, theirs].map((each) => encoded(each, chunk, name)));
    differing += own.filter((one, i) => JSON.stringify(one) !== JSON.stringify(expected[i])).length;
  }
  return { kind: `${name}, real`, texts: texts.length, unexplained: differing };
}

export async function prove({ size, only = size === "full" ? kinds : usualKinds }) {
  const folder = mkdtempSync(join(tmpdir(), "ptuning-tokenizers-"));
  const write = (name, list) => {
    const path = join(folder, name);
    writeFileSync(path, list.map((text) => `${JSON.stringify(text)}\n`).join(""));
    return path;
  };
  try {
    const all = everyText(join(root, "../shared/data"));
    const chosen = (size === "full" ? withNewWords(all) : all).filter((_, i) => i % every[size].text === 0);
    const texts = [...oddTexts, ...chosen];
    const sample = all.filter((text, i) => i % every[size].sample === 0 && text.length < 1000);
    python("train", folder, write("sample.jsonl", sample), String(size === "full" ? 8000 : 1000));
    const path = write("texts.jsonl", texts);
    const [rows, wrong] = [[], []];
    for (const kind of only) {
      const started = performance.now();
      const row = { kind, ...(await compare(folder, kind, texts, path)) };
      row.seconds = Math.round((performance.now() - started) / 1000);
      if (row.unexplained.length > 0) {
        wrong.push(`${kind}: ${row.unexplained.length}: ${JSON.stringify(row.unexplained.slice(0, 3))}`);
      }
      rows.push({ ...row, unexplained: row.unexplained.length });
      if (size === "full")
        console.error(JSON.stringify({ ...rows.at(-1), examples: row.unexplained.slice(0, 40) }));
    }
    for (const name of real) {
      const row = await compareReal(folder, name, texts);
      if (row === undefined) continue;
      if (row.unexplained > 0) wrong.push(`${name}: ${row.unexplained}`);
      rows.push(row);
    }
    if (wrong.length > 0) throw new Error(`texts differ: ${wrong.join("\n")}`);
    return { bar: "texts that differ for another reason than those four: 0", rows };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
