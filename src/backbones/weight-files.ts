import { realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { PtuningError, shown, systemCode } from "../core/index.ts";
import {
  type ByteSource,
  readJson,
  readSafetensorsHeader,
  readTorchHeader,
  type TensorEntry,
} from "../files/index.ts";

/** One way in which checkpoints keep their weights. */
interface WeightFormat {
  /** Their file, where there is one. */
  readonly single: string;
  /** Says which weight is in which of several files. */
  readonly index: string;
  /** Names of such files, the index among them. */
  readonly files: RegExp;
  /** Whether adapters before formatVersion 2 know backbones of this format. */
  readonly hasFormerFingerprint: boolean;
  readHeader(source: ByteSource): Promise<{ readonly tensors: ReadonlyMap<string, TensorEntry> }>;
}

/** The formats; of several in one folder the first is taken. */
const formats: readonly WeightFormat[] = [
  {
    single: "model.safetensors",
    index: "model.safetensors.index.json",
    files: /^model(-.*)?\.safetensors(\.index\.json)?$/,
    hasFormerFingerprint: true,
    readHeader: readSafetensorsHeader,
  },
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
export const weightSources: readonly string[] = formats.flatMap(({ single, index }) => [single, index]);

/** Whether a file may belong to a checkpoint's weights. */
export function isWeightFile(name: string): boolean {
  return formats.some(({ files }) => files.test(name));
}

/** Without the weights that are there in a better format as well. */
export function preferredFiles(names: readonly string[]): string[] {
  const best = formats.find(({ single, index }) => names.includes(single) || names.includes(index));
  return names.filter((name) => best === undefined || best.files.test(name) || !isWeightFile(name));
}

/** The weights of a folder. */
export interface WeightFiles {
  readonly format: WeightFormat;
  /** In the order of their names. */
  readonly files: readonly string[];
  /** The file of a weight by its name, where an index says it. */
  readonly placeOf: ReadonlyMap<string, string>;
}

/**
 * Finds the files with the weights.
 * @throws BACKBONE_INVALID if there are none, or the index names others than plain files
 */
export async function findWeightFiles(folder: string): Promise<WeightFiles> {
  for (const format of formats) {
    if (await exists(join(folder, format.single)))
      return { format, files: [format.single], placeOf: new Map() };
    const path = join(folder, format.index);
    if (!(await exists(path))) continue;
    const json = (await readJson(path)) as { readonly weight_map?: unknown } | null;
    const places: [string, string][] = Object.entries(json?.weight_map ?? {});
    const foreign = places.find(([, file]) => !isPlainName(file));
    if (foreign !== undefined || places.length === 0) {
      const got = foreign === undefined ? "none" : shown(foreign[1]);
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${path}: weight_map: expected names of files in its folder, got ${got}.`,
      );
    }
    return { format, files: [...new Set(places.map(([, file]) => file))].sort(), placeOf: new Map(places) };
  }
  throw new PtuningError(
    "BACKBONE_INVALID",
    `${folder}: expected ${weightSources.slice(0, -1).join(", ")} or ${weightSources.at(-1)}, found none of them.`,
    {
      hint: "Checkpoints in other formats can be converted with transformers: model.save_pretrained(folder).",
    },
  );
}

function isPlainName(file: unknown): file is string {
  return typeof file === "string" && basename(file) === file && !["", ".", ".."].includes(file);
}

async function exists(path: string): Promise<boolean> {
  return realpath(path).then(
    () => true,
    (error) => {
      if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return false;
      throw error;
    },
  );
}
