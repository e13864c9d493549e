import { closest, type Params, PtuningError } from "../core/index.ts";
import { encodeSafetensors } from "../files/portable.ts";
import type { Method } from "../methods/index.ts";
import { headParameter } from "../model/index.ts";
import type { Task } from "../tasks/index.ts";
import { Adapter, type BackboneReference, type Provenance } from "./adapter.ts";
import { cardFile, peftConfigFile, sidecarFile, weightsFile } from "./adapter-files.ts";
import { multiTaskCard } from "./card.ts";
import { collectContents, type FolderContents, writeContents } from "./contents.ts";
import { ownPeftType } from "./peft/names.ts";
import { expectPublishable } from "./publishable.ts";
import { formatVersion, savedReference } from "./save.ts";

/** One task of a multi-task adapter: what it does not share with the others. */
export interface TaskHead {
  readonly task: Task;
  /** Tensors of this task alone, named as in an adapter of its own. */
  readonly params: Params;
  /** Weights that the checkpoint lacks and that were not trained; default none. */
  readonly frozen?: Params;
  readonly provenance: Provenance;
}

/** What a multi-task adapter consists of. */
export interface MultiTaskFields {
  readonly method: Method;
  /** Trained tensors that all tasks share, such as the prompt. */
  readonly shared: Params;
  readonly heads: Readonly<Record<string, TaskHead>>;
  readonly backbone: BackboneReference;
  readonly maxLength: number;
}

/** One prompt with a head for each of several tasks. */
export class MultiTaskAdapter implements MultiTaskFields {
  readonly method: Method;
  readonly shared: Params;
  readonly heads: Readonly<Record<string, TaskHead>>;
  readonly backbone: BackboneReference;
  readonly maxLength: number;

  constructor({ method, shared, heads, backbone, maxLength }: MultiTaskFields) {
    this.method = method;
    this.shared = shared;
    this.heads = heads;
    this.backbone = backbone;
    this.maxLength = maxLength;
  }

  /**
   * The adapter of one task: the shared prompt with that head.
   * @throws OPTION_INVALID if there is no such head; the message lists them
   */
  head(name: string | undefined): Adapter {
    const head = name !== undefined && Object.hasOwn(this.heads, name) ? this.heads[name] : undefined;
    if (head === undefined) {
      const names = Object.keys(this.heads);
      const near = name && closest(name, names);
      throw new PtuningError(
        "OPTION_INVALID",
        `head: expected one of ${names.join(", ")}, got ${name === undefined ? "none" : `"${name}"`}.`,
        {
          hint: near
            ? `Did you mean "${near}"?`
            : "The adapter has a head for each of its tasks: name one (--head).",
        },
      );
    }
    const { method, backbone, maxLength } = this;
    return new Adapter({ ...head, params: { ...this.shared, ...head.params }, method, backbone, maxLength });
  }

  /**
   * Writes one folder that holds the prompt once and every head; an existing adapter is replaced as a whole.
   * @throws OUTPUT_EXISTS if the folder holds other files and no adapter; STORAGE_FULL;
   *   DATA_INVALID if a label, a setting or the name of a head looks like a secret
   */
  async save(folder: string): Promise<void> {
    await writeContents(folder, this.#contents());
  }

  /**
   * What {@link save} writes, by the names of the files, in memory: for places that have no folders.
   * @throws DATA_INVALID as {@link save}
   */
  files(): Promise<Map<string, Uint8Array>> {
    return collectContents(this.#contents());
  }

  #contents(): FolderContents {
    const { method, shared, heads, backbone, maxLength } = this;
    const own = Object.entries(heads).flatMap(([name, { params, frozen }]) =>
      Object.entries({ ...params, ...frozen }).map(
        ([key, tensor]) => [headParameter(name, key), tensor] as const,
      ),
    );
    const sidecar = {
      formatVersion,
      method: { name: method.name, options: method.options },
      backbone: savedReference(backbone),
      maxLength,
      heads: Object.fromEntries(
        Object.entries(heads).map(([name, { task, frozen = {}, provenance }]) => [
          name,
          { task: { type: task.type, options: task.options }, frozen: Object.keys(frozen), provenance },
        ]),
      ),
    };
    expectPublishable({ adapter: sidecar });
    const peft = {
      base_model_name_or_path: backbone.id,
      peft_type: ownPeftType,
      not_for_peft: "one prompt with several heads; each head split off is an adapter of its own",
    };
    return {
      [cardFile]: multiTaskCard(this),
      [weightsFile]: encodeSafetensors({ ...shared, ...Object.fromEntries(own) }, { format: "pt" }),
      [peftConfigFile]: `${JSON.stringify(peft, null, 2)}\n`,
      [sidecarFile]: `${JSON.stringify(sidecar, null, 2)}\n`,
    };
  }

  /**
   * Writes each head with a copy of the prompt as an adapter of its own, into a folder of its name; PEFT loads those
   * that it can compute.
   * @throws OUTPUT_EXISTS, STORAGE_FULL
   */
  async split(folder: string): Promise<void> {
    for (const name of Object.keys(this.heads)) await this.head(name).save(`${folder}/${name}`);
  }
}
