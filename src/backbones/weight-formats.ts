import { readTorchHeader } from "../files/index.ts";
import { safetensorsFormat, sourcesOf, type WeightFormat } from "./weight-files.ts";

/** Every format; of several in one folder the first is taken. */
export const weightFormats: readonly WeightFormat[] = [
  safetensorsFormat,
  {
    single: "pytorch_model.bin",
    index: "pytorch_model.bin.index.json",
    // `pytorch_model.generator.bin` beside it is another model.
    files: /^pytorch_model([-_].*)?\.bin(\.index\.json)?$/,
    hasFormerFingerprint: false,
    readHeader: readTorchHeader,
  },
];

/** Files of which a folder with weights has one. */
export const weightSources: readonly string[] = sourcesOf(weightFormats);

/** Whether a file may belong to a checkpoint's weights. */
export function isWeightFile(name: string): boolean {
  return weightFormats.some(({ files }) => files.test(name));
}

/** Without the weights that are there in a better format as well. */
export function preferredFiles(names: readonly string[]): string[] {
  const best = weightFormats.find(({ single, index }) => names.includes(single) || names.includes(index));
  return names.filter((name) => best === undefined || best.files.test(name) || !isWeightFile(name));
}
