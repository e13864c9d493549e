/** Backbones from a hub that runs on this machine: order of sources, resuming, damage, locks, silence, offline. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import {
  listCachedBackbones,
  loadBackbone,
  locateBackbone,
  removeCachedBackbone,
} from "ptuning/internal/backbones";
import { readSafetensors } from "ptuning/internal/files";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type HubServer, startHub } from "../support/hub.ts";
import { torchFile } from "../support/pickles.ts";
import { tinyFolder } from "../support/tiny.ts";

const id = "someone/tiny-bert";
let hub: HubServer;
let root: string;
let env: Record<string, string>;
let files: Record<string, Uint8Array>;

beforeEach(async () => {
  files = {};
  for (const name of await readdir(tinyFolder)) files[name] = await readFile(join(tinyFolder, name));
  // Not wanted: other formats of weights that are there in safetensors, and anything below the top level.
  files["pytorch_model.bin"] = new Uint8Array(5000);
  files["onnx/model.onnx"] = new Uint8Array(5000);
  hub = await startHub(id, files);
  root = await mkdtemp(join(tmpdir(), "ptuning-hub-"));
  env = { PTUNING_CACHE: join(root, "cache"), HF_HOME: join(root, "hf"), HF_ENDPOINT: hub.url };
});
afterEach(async () => {
  await hub.close();
  await rm(root, { recursive: true });
});

describe("a backbone from the hub", () => {
  test("arrives whole, with progress, only the files that are needed, and is then found in the cache", async () => {
    const seen: number[] = [];
    const backbone = await loadBackbone(id, {
      env,
      engine: nodeEngine({ threads: 1 }),
      onProgress: ({ doneBytes, totalBytes }) => seen.push(doneBytes / totalBytes),
    });
    expect(backbone.id).toBe(id);
    expect(backbone.config.hiddenSize).toBe(32);
    await backbone.close();
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    const asked = hub.requests.join("\n");
    expect(asked).not.toMatch(/pytorch_model|onnx/);
    const [cached] = await listCachedBackbones(env);
    expect(cached).toMatchObject({ id, source: "hub" });
    expect(await readFile(join(cached!.folder, "model.safetensors"))).toEqual(files["model.safetensors"]);

    const before = hub.requests.length;
    expect(await locateBackbone(id, { env })).toMatchObject({ source: "cache", folder: cached!.folder });
    expect(hub.requests).toHaveLength(before);
    await removeCachedBackbone(id, env);
    expect(await listCachedBackbones(env)).toEqual([]);
    await expect(removeCachedBackbone(id, env)).rejects.toMatchObject({ code: "BACKBONE_NOT_FOUND" });
  });

  test("a transfer that is aborted ends at once with the reason, is free for others, and goes on where it stopped", async () => {
    const stopping = new AbortController();
    const reason = new Error("enough");
    const bytes = files["model.safetensors"]!;
    hub.intercept = (request, response) => {
      const isWeights = request.method === "GET" && request.url!.endsWith("/model.safetensors");
      if (!isWeights || request.headers.range === "bytes=0-0" || stopping.signal.aborted) return false;
      response.writeHead(206, { "content-length": bytes.length, etag: '"x"' });
      // The rest never comes.
      response.write(bytes.subarray(0, 8000), () => setTimeout(() => stopping.abort(reason), 300));
      return true;
    };
    const started = performance.now();
    await expect(loadBackbone(id, { env, signal: stopping.signal })).rejects.toBe(reason);
    expect(performance.now() - started).toBeLessThan(10_000);
    await expect(loadBackbone(id, { env, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const left = (await readdir(join(root, "cache"), { recursive: true })).filter((name) =>
      /lock|tmp/.test(name),
    );
    expect(left).toEqual([]);
    const { folder } = await locateBackbone(id, { env });
    expect(await readFile(join(folder, "model.safetensors"))).toEqual(bytes);
    expect(hub.requests.join("\n")).toMatch(/model.safetensors.*bytes=8000/);
  });

  test("a transfer that broke off goes on where it stopped", async () => {
    let cuts = 0;
    hub.intercept = (request, response) => {
      const isWeights = request.method === "GET" && request.url!.endsWith("/model.safetensors");
      // The client asks for the first byte to learn the size; the transfer itself is longer.
      if (!isWeights || request.headers.range === "bytes=0-0" || cuts > 0) return false;
      cuts++;
      const bytes = files["model.safetensors"]!;
      response.writeHead(206, { "content-length": bytes.length, etag: '"x"' });
      response.write(bytes.subarray(0, 8000), () => setTimeout(() => response.destroy(), 100));
      return true;
    };
    await expect(locateBackbone(id, { env })).rejects.toMatchObject({ code: "BACKBONE_NOT_FOUND" });
    expect(cuts).toBe(1);
    const { folder } = await locateBackbone(id, { env });
    expect(await readFile(join(folder, "model.safetensors"))).toEqual(files["model.safetensors"]);
    expect(hub.requests.join("\n")).toMatch(/model\.safetensors bytes=8000-/);
  });

  test("content that is not what the hub announced is refused and not kept", async () => {
    const damaged = Uint8Array.from(files["model.safetensors"]!);
    damaged[damaged.length - 1]! ^= 1;
    const original = files["model.safetensors"]!;
    hub.intercept = (request) => {
      files["model.safetensors"] = request.url!.includes("/resolve/") ? damaged : original;
      return false;
    };
    await expect(locateBackbone(id, { env })).rejects.toThrow(
      /model\.safetensors: expected \d+ bytes of known content/,
    );
    expect(await listCachedBackbones(env)).toEqual([]);
  });

  /** Leaves a part of the weights where an earlier process was killed. */
  async function leavePart(bytes: Uint8Array): Promise<string> {
    hub.intercept = (request, response) => {
      if (!request.url!.includes("/resolve/")) return false;
      response.destroy();
      return true;
    };
    await expect(locateBackbone(id, { env })).rejects.toMatchObject({ code: "BACKBONE_NOT_FOUND" });
    hub.intercept = undefined;
    hub.requests.length = 0;
    const [partial] = (await readdir(join(env.PTUNING_CACHE!, "backbones"))).filter((name) =>
      name.endsWith(".partial"),
    );
    const path = join(env.PTUNING_CACHE!, "backbones", partial!, "model.safetensors.part");
    await writeFile(path, bytes);
    return path;
  }
  const transfers = (): string[] =>
    hub.requests.filter((line) => /^GET.*\/model\.safetensors/.test(line) && !line.endsWith("bytes=0-0"));

  test("a part that is whole goes on to its hash: nothing behind its end is asked for", async () => {
    await leavePart(files["model.safetensors"]!);
    const { folder } = await locateBackbone(id, { env });
    expect(transfers()).toEqual([]);
    expect(await readFile(join(folder, "model.safetensors"))).toEqual(files["model.safetensors"]);
    expect((await readdir(folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  test.each([
    ["of another content", (bytes: Uint8Array) => bytes.map((byte) => byte ^ 1)],
    ["that is too long", (bytes: Uint8Array) => Buffer.concat([bytes, bytes])],
    ["with a wrong beginning", (bytes: Uint8Array) => bytes.subarray(0, 5000).map((byte) => byte ^ 1)],
  ])("a part %s is fetched anew", async (_, damage) => {
    await leavePart(damage(files["model.safetensors"]!));
    const { folder } = await locateBackbone(id, { env });
    expect(await readFile(join(folder, "model.safetensors"))).toEqual(files["model.safetensors"]);
  });

  test("a server that knows no ranges sends the whole file: it is not appended to the part", async () => {
    const bytes = files["model.safetensors"]!;
    await leavePart(bytes.subarray(0, 5000));
    hub.intercept = (request, response) => {
      if (!request.headers.range || request.headers.range === "bytes=0-0") return false;
      response.writeHead(200, { "content-length": bytes.length }).end(bytes);
      return true;
    };
    const { folder } = await locateBackbone(id, { env });
    expect(transfers()).toHaveLength(1);
    expect(await readFile(join(folder, "model.safetensors"))).toEqual(bytes);
  });

  test("a body that goes on behind the announced size is cut there", async () => {
    let sent = 0;
    hub.intercept = (request, response) => {
      if (!request.url!.endsWith("/model.safetensors") || request.headers.range === "bytes=0-0") return false;
      response.writeHead(200);
      const chunk = Buffer.alloc(1 << 16);
      const pour = (): void => {
        sent += chunk.length;
        if (!response.destroyed && sent < 1e9) response.write(chunk, () => setImmediate(pour));
      };
      pour();
      return true;
    };
    await expect(locateBackbone(id, { env })).rejects.toThrow(
      /model\.safetensors: expected \d+ bytes of known content, got more/,
    );
    expect(sent).toBeLessThan(100e6);
    hub.intercept = undefined;
    const { folder } = await locateBackbone(id, { env });
    expect(await readFile(join(folder, "model.safetensors"))).toEqual(files["model.safetensors"]);
  });

  test("a listing without an end is given up", async () => {
    let sent = 0;
    hub.intercept = (request, response) => {
      if (!request.url!.includes("/tree/")) return false;
      response.writeHead(200, { "content-type": "application/json" });
      response.write("[");
      const entry = Buffer.from(`{"type":"file","path":"${"x".repeat(60_000)}","size":1,"oid":"1"},`);
      const pour = (): void => {
        sent += entry.length;
        if (!response.destroyed && sent < 1e9) response.write(entry, () => setImmediate(pour));
      };
      pour();
      return true;
    };
    await expect(locateBackbone(id, { env })).rejects.toThrow(/the answer has more than 32 MiB/);
    expect(sent).toBeLessThan(200e6);
  });

  test("a file that is not as large as the listing says, or not what its hash says, is not kept", async () => {
    const tree = (change: (entry: Record<string, unknown>) => void): void => {
      hub.intercept = (request, response) => {
        if (!request.url!.includes("/tree/")) return false;
        const entries = Object.entries(files).map(([path, bytes]) => {
          const entry = { type: "file", path, size: bytes.length, oid: hub.gitHash(bytes) };
          if (path === "config.json") change(entry);
          return entry;
        });
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(entries));
        return true;
      };
    };
    tree((entry) => {
      entry.size = 10;
    });
    await expect(locateBackbone(id, { env })).rejects.toThrow(
      /config\.json: expected 10 bytes, as it was announced, got \d+/,
    );
    tree((entry) => {
      entry.size = 2 ** 60;
    });
    await expect(locateBackbone(id, { env })).rejects.toMatchObject({
      code: "STORAGE_FULL",
      message: expect.stringMatching(
        /expected 11529215046\d\d MB of room for someone\/tiny-bert, got \d+ MB/,
      ),
    });
    tree(() => {});
    const config = files["config.json"]!;
    const listed = hub.intercept!;
    hub.intercept = (request, response) => {
      if (!request.url!.endsWith("/config.json") || request.headers.range) return listed(request, response);
      response.end(config.map((byte) => byte ^ 1));
      return true;
    };
    await expect(locateBackbone(id, { env })).rejects.toThrow(
      /config\.json: expected \d+ bytes of known content/,
    );
    expect(await listCachedBackbones(env)).toEqual([]);
    expect(
      (await readdir(join(env.PTUNING_CACHE!, "backbones"))).filter((name) => /config|lock/.test(name)),
    ).toEqual([]);
  });

  test("two at once make one download", async () => {
    const both = await Promise.all([locateBackbone(id, { env }), locateBackbone(id, { env })]);
    expect(both[0]).toEqual(both[1]);
    const transfers = hub.requests.filter(
      (line) => line.startsWith("GET") && line.includes("/model.safetensors"),
    );
    expect(new Set(transfers).size).toBe(transfers.length);
  });

  test("a repository without weights, an unknown one and an unknown name say so", async () => {
    delete files["model.safetensors"];
    delete files["pytorch_model.bin"];
    await expect(locateBackbone(id, { env })).rejects.toThrow(
      /no model\.safetensors or model\.safetensors\.index\.json or pytorch_model\.bin or/,
    );
    await expect(locateBackbone("no/such", { env })).rejects.toThrow(/"no\/such" could not be fetched/);
    await expect(locateBackbone("minlm", { env })).rejects.toThrow(
      /expected a catalog name \(minilm, mpnet\), a hub id/,
    );
  });

  test("a hub that does not answer is given up after five seconds", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as { port: number };
    const started = performance.now();
    await expect(
      locateBackbone(id, { env: { ...env, HF_ENDPOINT: `http://127.0.0.1:${port}` } }),
    ).rejects.toThrow(/no answer within 5 s/);
    expect(performance.now() - started).toBeLessThan(15_000);
    silent.close();
  }, 30_000);

  test("offline nothing is asked, and an existing hub cache is used where it is", async () => {
    const offline = { ...env, HF_HUB_OFFLINE: "1" };
    await expect(locateBackbone(id, { env: offline })).rejects.toThrow(/HF_HUB_OFFLINE is set/);
    await expect(locateBackbone(id, { env, offline: true })).rejects.toThrow(/not on this machine/);
    expect(hub.requests).toEqual([]);
    const repository = join(root, "hf/hub/models--someone--tiny-bert");
    const snapshot = join(repository, "snapshots/abc");
    await mkdir(snapshot, { recursive: true });
    await mkdir(join(repository, "refs"));
    await writeFile(join(repository, "refs/main"), "abc");
    for (const [name, bytes] of Object.entries(files)) {
      if (!name.includes("/")) await writeFile(join(snapshot, name), bytes);
    }
    expect(await locateBackbone(id, { env: offline })).toEqual({ id, folder: snapshot, source: "hub cache" });
  });

  test("what a tokenizer is built from comes too, and other models beside the weights do not", async () => {
    const golden = new URL("../golden/tokenizers", import.meta.url).pathname;
    const { "vocab.txt": _, "tokenizer.json": __, ...others } = files;
    const spm = await readFile(join(golden, "deberta-v2/spm.model"));
    const more = {
      "spm.model": spm,
      "added_tokens.json": Buffer.from("{}"),
      "pytorch_model.generator.bin": new Uint8Array(5000),
      "rust_model.ot": new Uint8Array(5000),
    };
    await hub.close();
    hub = await startHub(id, { ...others, ...more });
    const { folder } = await locateBackbone(id, { env: { ...env, HF_ENDPOINT: hub.url } });
    expect(await readFile(join(folder, "spm.model"))).toEqual(spm);
    expect(await readdir(folder)).toEqual(expect.arrayContaining(["added_tokens.json", "spm.model"]));
    expect(hub.requests.join("\n")).not.toMatch(/GET.*(generator|rust_model)/);
  });

  test("weights come in PyTorch's files where there are no others, whole or in parts", async () => {
    const { tensors } = await readSafetensors(join(tinyFolder, "model.safetensors"));
    const { "model.safetensors": _, ...rest } = files;
    const names = Object.keys(tensors).sort();
    const part = (from: number, to: number): Uint8Array =>
      torchFile(Object.fromEntries(names.slice(from, to).map((name) => [name, tensors[name]!])));
    const [first, second] = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
    const map = Object.fromEntries(names.map((name, i) => [name, i < 9 ? first : second]));
    const whole = { "pytorch_model.bin": torchFile(tensors) };
    const parts = {
      [first]: part(0, 9),
      [second]: part(9, names.length),
      "pytorch_model.bin.index.json": Buffer.from(JSON.stringify({ weight_map: map })),
    };
    for (const weights of [whole, parts]) {
      await hub.close();
      const others = {
        "pytorch_model.generator.bin": new Uint8Array(5000),
        "tf_model.h5": new Uint8Array(5000),
      };
      const { "pytorch_model.bin": __, ...files } = rest;
      hub = await startHub(id, { ...files, ...others, ...weights });
      const own = {
        ...env,
        HF_ENDPOINT: hub.url,
        PTUNING_CACHE: join(root, String(Object.keys(weights).length)),
      };
      await using backbone = await loadBackbone(id, { env: own, engine: nodeEngine({ threads: 1 }) });
      expect(backbone.parameterCount).toBeGreaterThan(10_000);
      expect(hub.requests.join("\n")).not.toMatch(/generator|tf_model|onnx/);
      const there = (await readdir(backbone.folder)).filter((name) => name.startsWith("pytorch_model"));
      expect(there.sort()).toEqual(Object.keys(weights).sort());
    }
  });

  test("the access token goes to the hub and nowhere else", async () => {
    const tokens = new Set<string | undefined>();
    hub.intercept = (request) => {
      tokens.add(request.headers.authorization);
      return false;
    };
    const { folder } = await locateBackbone(id, { env: { ...env, HF_TOKEN: "hf_secret12345678" } });
    expect([...tokens]).toEqual(["Bearer hf_secret12345678"]);
    for (const name of await readdir(folder)) {
      expect(await readFile(join(folder, name), "latin1")).not.toContain("hf_secret");
    }
  });
});
