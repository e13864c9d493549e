/** What `torch.save` wrote is read as `torch.load` reads it. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFile, readSafetensors, readTensor, readTorchHeader } from "ptuning/internal/files";
import { afterAll, beforeAll, expect, test } from "vitest";
import { referencePython } from "../../tools/reference/run.mjs";
import { has, isThorough, repository } from "../support/requirements.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-torch-"));
});
afterAll(() => rm(folder, { recursive: true }));

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

test.skipIf(!has.python)(
  "random checkpoints: every dtype, views, tied tensors, parameters, both forms, all protocols",
  async () => {
    const script = `${repository}tools/reference/torch_live.py`;
    const seed = Math.floor(Math.random() * 2 ** 31);
    const count = isThorough ? 400 : 120;
    const args = [script, folder, String(seed), String(count)];
    const { status, stderr } = spawnSync(referencePython(), args, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    const files: Record<string, Record<string, boolean>> = JSON.parse(
      await readFile(join(folder, "files.json"), "utf8"),
    );
    expect(Object.keys(files)).toHaveLength(count);
    let copied = 0;
    for (const [file, contiguous] of Object.entries(files)) {
      const where = `seed ${seed}, ${file}`;
      await using source = await openFile(join(folder, file));
      const { tensors } = await readTorchHeader(source);
      const expected = (await readSafetensors(join(folder, file.replace(".bin", ".safetensors")))).tensors;
      expect([...tensors.keys()].sort(), where).toEqual(Object.keys(expected).sort());
      for (const [name, entry] of tensors) {
        const tensor = await readTensor(source, entry);
        const { dtype, shape, data } = expected[name]!;
        expect({ dtype: tensor.dtype, shape: tensor.shape }, where).toEqual({ dtype, shape });
        expect(Buffer.compare(bytesOf(tensor.data), bytesOf(data)), `${where}: ${name}`).toBe(0);
        // What PyTorch calls contiguous is used in place.
        expect(entry.strides === undefined, `${where}: ${name}`).toBe(contiguous[name]);
        if (entry.strides !== undefined) copied++;
      }
    }
    expect(copied).toBeGreaterThan(count / 10);
  },
  180_000,
);
