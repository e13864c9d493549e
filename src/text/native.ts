/** Tokenizers by the native library. */
import { createRequire } from "node:module";
import type { Tokenizer as NativeTokenizer } from "tokenizers";
import { messageOf, PtuningError } from "../core/index.ts";
import { diskFiles, type Files } from "../files/index.ts";
import {
  definitionForWords,
  readDefinition,
  type SpecialRole,
  type TokenizerDefinition,
} from "./definition.ts";
import { layOutWords, TextPieceCollector } from "./pieces.ts";
import { SequenceCollector } from "./sequences.ts";
import { templateOf } from "./template.ts";
import { longestFirst, type SpecialTokens, type Tokenizer } from "./tokenizer.ts";
import { expectSound, type TrustOptions } from "./trust.ts";

/** Texts that are encoded at once: enough to use all cores, few enough to keep memory flat. */
const chunkSize = 512;
/** Words are short. */
const wordChunkSize = 4096;

/**
 * Opens the tokenizer of a backbone's folder or files: `tokenizer.json`, or one that is built from a SentencePiece model, from
 * `vocab.json` and `merges.txt`, or from `vocab.txt`, as its `tokenizer_class` or `model_type` says.
 * One that is not known by its hash is tried in a process of its own first.
 * @throws BACKBONE_INVALID if none is there, a file is damaged, or the trial ended badly
 */
export async function openTokenizer(place: string | Files, trust: TrustOptions = {}): Promise<Tokenizer> {
  const files = typeof place === "string" ? diskFiles(place) : place;
  const folder = files.name;
  const definition = await readDefinition(files);
  await expectSound(definition.json, folder, trust);
  const native = openNative(definition.json, folder);
  let nativeForWords: NativeTokenizer | undefined;
  const encodeBatch = (by: NativeTokenizer, texts: string[]): ReturnType<NativeTokenizer["encodeBatch"]> =>
    by.encodeBatch(texts, { addSpecialTokens: false }).catch((cause: unknown) => {
      throw invalid(folder, cause);
    });

  const template = await templateOf(native, folder).catch((cause: unknown) => {
    throw cause instanceof PtuningError ? cause : invalid(folder, cause);
  });
  return {
    ...template,
    specialTokens: specialTokensOf(native, definition),
    async encode(texts, maxLength, signal) {
      const collected = new SequenceCollector(texts.length);
      for (const chunk of chunks(texts, chunkSize)) {
        signal?.throwIfAborted();
        const encodings = await encodeBatch(native, chunk.flat() as string[]);
        let next = 0;
        for (const text of chunk) {
          const first = encodings[next++]!.getIds();
          const second = typeof text === "string" ? undefined : encodings[next++]!.getIds();
          const added = template.addedTokens[second === undefined ? "single" : "pair"];
          const kept = longestFirst(first.length, second?.length ?? 0, Math.max(0, maxLength - added));
          const { ids, typeIds } = template.assemble(first.slice(0, kept[0]), second?.slice(0, kept[1]));
          collected.add(ids, typeIds, kept[0] < first.length || kept[1] < (second?.length ?? 0));
        }
      }
      return collected.finish();
    },
    async encodeWords(sentences, signal) {
      nativeForWords ??= openForWords(definition.json, folder) ?? native;
      // The binding takes no words. The library itself encodes each word by itself, so each is done once.
      const words = new Set<string>();
      for (const sentence of sentences) for (const word of sentence) words.add(word);
      const idsOf = new Map<string, readonly number[]>();
      for (const chunk of chunks([...words], wordChunkSize)) {
        signal?.throwIfAborted();
        const encodings = await encodeBatch(nativeForWords, chunk);
        for (const [i, encoding] of encodings.entries()) idsOf.set(chunk[i]!, encoding.getIds());
      }
      return layOutWords(sentences, idsOf);
    },
    async encodeTexts(texts, signal) {
      const collected = new TextPieceCollector();
      for (const chunk of chunks(texts, chunkSize)) {
        signal?.throwIfAborted();
        const encodings = await encodeBatch(native, chunk);
        for (const [i, encoding] of encodings.entries()) {
          collected.add(chunk[i]!, encoding.getIds(), encoding.getOffsets());
        }
      }
      return collected.finish();
    },
  };
}

function* chunks<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

function openNative(definition: string, folder: string): NativeTokenizer {
  try {
    const native = nativeLibrary().Tokenizer.fromString(definition);
    // Saved settings of another program.
    native.disablePadding();
    native.disableTruncation();
    return native;
  } catch (cause) {
    if (cause instanceof PtuningError) throw cause;
    throw invalid(folder, cause);
  }
}

function openForWords(definition: string, folder: string): NativeTokenizer | undefined {
  const changed = definitionForWords(definition);
  return changed === undefined ? undefined : openNative(changed, folder);
}

function invalid(folder: string, cause: unknown): PtuningError {
  const reason = messageOf(cause).replace(/\.$/, "");
  return new PtuningError("BACKBONE_INVALID", `${folder}: tokenizer: ${reason}.`, { cause });
}

/** How BERT and RoBERTa write their special tokens, for folders whose settings do not say and kind does not tell. */
const usualNames: { readonly [R in SpecialRole]: readonly string[] } = {
  pad: ["[PAD]", "<pad>"],
  cls: ["[CLS]", "<s>"],
  sep: ["[SEP]", "</s>"],
  mask: ["[MASK]", "<mask>"],
  unk: ["[UNK]", "<unk>"],
};

function specialTokensOf(native: NativeTokenizer, definition: TokenizerDefinition): SpecialTokens {
  const found = (Object.keys(usualNames) as SpecialRole[]).flatMap((role) => {
    const named = definition.specialToken(role);
    const names =
      named === undefined ? [definition.usualToken(role) ?? [], usualNames[role]].flat() : [named];
    const ids = names.flatMap((name) => native.tokenToId(name) ?? []);
    return ids.length > 0 ? [[role, ids[0]!]] : [];
  });
  const start = definition.start === undefined ? undefined : native.tokenToId(definition.start);
  return { ...Object.fromEntries(found), ...(typeof start === "number" && { start }) };
}

function nativeLibrary(): typeof import("tokenizers") {
  try {
    return createRequire(import.meta.url)("tokenizers");
  } catch (cause) {
    throw new PtuningError(
      "ENGINE_UNAVAILABLE",
      `the tokenizer library did not load on ${process.platform} ${process.arch}: ${messageOf(cause)}`,
      { hint: "Its binaries exist for Linux, macOS, Windows and Android on x64 and arm64.", cause },
    );
  }
}
