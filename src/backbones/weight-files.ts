import { type ByteSource, PtuningError, shown } from "../core/index.ts";
import { type Files, fileJson, readSafetensorsHeader, type TensorEntry } from "../files/portable.ts";

/** One way in which checkpoints keep their weights. */
export interface WeightFormat {
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

/** Safetensors. */
export const safetensorsFormat: WeightFormat = {
  single: "model.safetensors",
  index: "model.safetensors.index.json",
  files: /^model(-.*)?\.safetensors(\.index\.json)?$/,
  hasFormerFingerprint: true,
  readHeader: readSafetensorsHeader,
};

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
 * @param formats that may be read; of several in one folder the first is taken
 * @throws BACKBONE_INVALID if there are none, or the index names others than plain files
 */
export async function findWeightFiles(files: Files, formats: readonly WeightFormat[]): Promise<WeightFiles> {
  for (const format of formats) {
    if ((await files.find(format.single)) !== undefined)
      return { format, files: [format.single], placeOf: new Map() };
    if ((await files.find(format.index)) === undefined) continue;
    const json = (await fileJson(files, format.index)) as { readonly weight_map?: unknown } | null;
    const places: [string, string][] = Object.entries(json?.weight_map ?? {});
    const foreign = places.find(([, file]) => !isPlainName(file));
    if (foreign !== undefined || places.length === 0) {
      const got = foreign === undefined ? "none" : shown(foreign[1]);
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${files.where(format.index)}: weight_map: expected names of files in its folder, got ${got}.`,
      );
    }
    return { format, files: [...new Set(places.map(([, file]) => file))].sort(), placeOf: new Map(places) };
  }
  const sources = sourcesOf(formats);
  throw new PtuningError(
    "BACKBONE_INVALID",
    `${files.name}: expected ${sources.slice(0, -1).join(", ")} or ${sources.at(-1)}, found none of them.`,
    {
      hint: "Checkpoints in other formats can be converted with transformers: model.save_pretrained(folder).",
    },
  );
}

/** Files of which a folder with weights has one. */
export function sourcesOf(formats: readonly WeightFormat[]): string[] {
  return formats.flatMap(({ single, index }) => [single, index]);
}

function isPlainName(file: unknown): file is string {
  return typeof file === "string" && /^(?!\.{0,2}$)[^/\\]+$/.test(file);
}
