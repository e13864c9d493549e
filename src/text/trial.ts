/**
 * Tries a tokenizer in a process of its own: the native library ends the process on some definitions, and runs for ever
 * on others. Reads the definition from standard input; writes `{}` or `{"error": "…"}` to standard output. The time and
 * the memory that it may take are watched here, by a thread, as loading blocks the main one.
 */
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { text as readAll } from "node:stream/consumers";
import { Worker } from "node:worker_threads";
import { definitionForWords } from "./definition.ts";
import { probeTexts } from "./probe-texts.ts";

/** Seconds of all cores together; the largest vocabularies take two. */
const cpuSeconds = 5;
const standardOutput = 1;
const memoryBytes = 2 * 2 ** 30;
/** A character becomes four bytes, a composed one some letters. */
const tokensPerCharacter = 64;

const watchdog = `
  const { writeSync } = require("node:fs");
  const kill = (why) => { writeSync(2, why); process.kill(process.pid, "SIGKILL"); };
  setInterval(() => {
    const { user, system } = process.cpuUsage();
    if (user + system > ${cpuSeconds * 1e6}) kill("time");
    if (process.memoryUsage.rss() > ${memoryBytes}) kill("memory");
  }, 25);
`;

async function tryOut(whole: string): Promise<void> {
  const { Tokenizer }: typeof import("tokenizers") = createRequire(import.meta.url)("tokenizers");
  const forWords = definitionForWords(whole);
  for (const definition of forWords === undefined ? [whole] : [whole, forWords]) {
    const native = Tokenizer.fromString(definition);
    native.disablePadding();
    native.disableTruncation();
    await native.encode("a");
    await native.encode("a", "a");
    for (const text of probeTexts(definition)) {
      const [encoding] = await native.encodeBatch([text], { addSpecialTokens: false });
      const { length } = encoding!.getIds();
      if (length <= tokensPerCharacter * text.length + 1024) continue;
      throw new Error(`${text.length} characters became ${length} tokens`);
    }
  }
}

new Worker(watchdog, { eval: true }).unref();
let answer: { error?: string } = {};
try {
  await tryOut(await readAll(process.stdin));
} catch (error) {
  answer = { error: error instanceof Error ? error.message : String(error) };
}
writeSync(standardOutput, JSON.stringify(answer));
process.exit(0);
