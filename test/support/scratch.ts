/** All that tests write in between lies in one folder, which is swept by the next tests if these are killed. */
import { rm } from "node:fs/promises";
import { scratch } from "../../tools/scratch.mjs";
import { offerSoftwareGpu } from "./gpu.ts";

export default async function setup(): Promise<() => Promise<void>> {
  const folder = await scratch("tests");
  process.env.TMPDIR = folder;
  await offerSoftwareGpu(folder);
  return () => rm(folder, { recursive: true, force: true });
}
