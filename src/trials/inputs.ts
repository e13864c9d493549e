import { loadBackbone } from "../backbones/index.ts";
import { completeConfig, type RunConfig, readData } from "../config/index.ts";

/** What a run is made from, by fingerprint: equal ones are equal bytes, wherever they lie. */
export interface Inputs {
  readonly data: string;
  readonly backbone: string;
}

/** The fingerprints of a configuration's data and backbone. @throws what reading them throws */
export async function inputsOf(config: RunConfig): Promise<Inputs> {
  return (await lookAtInputs(config)).inputs;
}

/** The same, with what earlier versions called the backbone. */
export async function lookAtInputs(config: RunConfig): Promise<{ inputs: Inputs; formerBackbone?: string }> {
  const { fingerprint: data } = await readData(await completeConfig(config));
  const backbone = await loadBackbone(config.backbone);
  await backbone.close();
  const { fingerprint, formerFingerprint } = backbone;
  return {
    inputs: { data, backbone: fingerprint },
    ...(formerFingerprint !== undefined && { formerBackbone: formerFingerprint }),
  };
}
