import * as z from "zod";

const count = z.int().positive();
/** No position table is nearly as long. */
const promptLength = count.max(10_000);
/** Wider networks would take gigabytes for a prompt of kilobytes. */
const width = count.max(16_384);
const hiddenRate = z.union([z.number().min(0).lt(1), z.literal("hidden")]);

const promptLayers = z.union([
  z.literal("all"),
  z.strictObject({ first: count }),
  z.strictObject({ last: count }),
  z.array(z.int().nonnegative()).min(1).max(1000),
]);

const deepPrompt = z.strictObject({
  promptLength: promptLength.exactOptional().describe("trainable positions in front of each layer"),
  promptLayers: promptLayers
    .exactOptional()
    .describe("all, {first: k}, {last: k}, or a list of layers from 0"),
  reparameterization: z
    .enum(["none", "mlp"])
    .exactOptional()
    .describe("train the prompt directly, or a small network that makes it"),
  prefixHiddenSize: z
    .union([width, z.literal("hidden")])
    .exactOptional()
    .describe("width of that network"),
  promptDropout: hiddenRate.exactOptional().describe("dropout on prompt keys and values"),
  init: z
    .enum(["normal", "activations", "labels"])
    .exactOptional()
    .describe("what prompts start from: numbers, keys and values of training texts, or those of label words"),
  initScale: z.number().nonnegative().exactOptional().describe("standard deviation of normal"),
  gate: z
    .boolean()
    .exactOptional()
    .describe("learn how much each layer and head attends to the prompt, from next to nothing"),
  mlpInit: z.enum(["normal", "uniform"]).exactOptional().describe("how the network starts"),
  positionOffset: z
    .boolean()
    .exactOptional()
    .describe("start text positions behind the prompt, as the reference does"),
});

const inputPrompt = {
  promptLength: promptLength.exactOptional().describe("trainable vectors in front of the text"),
  placement: z
    .enum(["front", "template"])
    .exactOptional()
    .describe("in front of the text, or inside it, at the pseudo-tokens {p*n} of task.template"),
  pooledRow: z
    .union([z.literal("text"), z.literal(0)])
    .exactOptional()
    .describe("what heads take for the first position: the text's first token, or 0 as PEFT does"),
  embeddingPasses: z
    .union([z.literal(1), z.literal(2)])
    .exactOptional()
    .describe("how often texts pass the embedding module; 2 in the code of P-Tuning v2"),
};

const promptTuning = z.strictObject({
  ...inputPrompt,
  init: z
    .enum(["normal", "uniform", "vocabulary", "labels"])
    .exactOptional()
    .describe("numbers, sampled word embeddings, or the words of the labels"),
  initScale: z
    .number()
    .nonnegative()
    .exactOptional()
    .describe("standard deviation of normal, bound of uniform"),
});

const pTuning = z.strictObject({
  ...inputPrompt,
  encoder: z.enum(["lstm", "mlp"]).exactOptional().describe("the network that makes the prompt"),
  encoderHiddenSize: z
    .union([width, z.literal("hidden")])
    .exactOptional()
    .describe("width of that network"),
  mlpShape: z.enum(["peft", "thudm"]).exactOptional().describe("widths of its linear layers"),
});

/**
 * The options of every method, as configurations and adapters have them; descriptions become help texts and the
 * comments of generated files. The first is the default of a run.
 */
export const methodSettings: Readonly<Record<string, z.ZodObject>> = {
  "p-tuning-v2": deepPrompt,
  "prompt-tuning": promptTuning,
  "p-tuning": pTuning,
  "fine-tuning": z.strictObject({}),
  "linear-probe": z.strictObject({}),
  bitfit: z.strictObject({}),
};
