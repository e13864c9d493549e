/** Data sets by name, against a local stand-in of the hub's HTTP interface. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readDataset } from "ptuning/data";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const parquet = readFileSync(new URL("fixtures/groups.parquet", import.meta.url));

/** Files of a repository by branch; requests are counted. */
type Repository = Readonly<Record<string, Readonly<Record<string, Buffer>>>>;

/** A commit per branch; like real ones they have no slashes. */
const commitOf = (branch: string): string => createHash("sha1").update(branch).digest("hex");

function filesAt(
  repository: Repository | undefined,
  revision: string,
): [string, Repository[string]] | undefined {
  const wanted = revision === "HEAD" ? "main" : revision;
  return Object.entries(repository ?? {}).find(
    ([branch]) => branch === wanted || commitOf(branch) === wanted,
  );
}

function standIn(repositories: Readonly<Record<string, Repository>>, requests: string[]): Server {
  return createServer((request, response) => {
    const url = new URL(request.url!, "http://x");
    requests.push(`${request.method} ${url.pathname}`);
    const send = (status: number, headers: Record<string, string>, body: string | Buffer = ""): void => {
      response.writeHead(status, headers).end(body);
    };
    const json = (value: unknown): void =>
      send(200, { "content-type": "application/json" }, JSON.stringify(value));
    const missing = (): void =>
      send(
        404,
        { "x-error-code": "EntryNotFound", "content-type": "application/json" },
        '{"error": "not found"}',
      );
    const api = /^\/api\/datasets\/([\w.-]+\/[\w.-]+)\/(revision|tree)\/([^/]+)/.exec(url.pathname);
    const file = /^\/datasets\/([\w.-]+\/[\w.-]+)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname);
    const [, name, action, encoded] = api ?? [];
    if (name !== undefined) {
      const [branch, files] = filesAt(repositories[name], decodeURIComponent(encoded!)) ?? [];
      if (branch === undefined || files === undefined) return missing();
      if (action === "revision") {
        return json({ _id: "1", id: name, sha: commitOf(branch), lastModified: "2024-01-01" });
      }
      return json(
        Object.entries(files).map(([path, bytes]) => ({
          type: "file",
          path,
          size: bytes.length,
          oid: "x",
          ...(path.endsWith(".parquet") && {
            lfs: {
              oid: createHash("sha256").update(bytes).digest("hex"),
              size: bytes.length,
              pointerSize: 1,
            },
          }),
        })),
      );
    }
    const [, owner, commit, path] = file ?? [];
    const bytes = filesAt(repositories[owner ?? ""], decodeURIComponent(commit ?? ""))?.[1][
      decodeURIComponent(path ?? "")
    ];
    if (bytes === undefined) return missing();
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const start = Number(from ?? 0);
    const end = to ? Math.min(Number(to) + 1, bytes.length) : bytes.length;
    send(
      from === undefined ? 200 : 206,
      {
        etag: '"x"',
        "content-range": `bytes ${start}-${end - 1}/${bytes.length}`,
        "content-length": String(end - start),
      },
      bytes.subarray(start, end),
    );
  });
}

const card = `---
configs:
- config_name: small
  default: true
  data_files:
  - split: train
    path: small/train-*
  - split: validation
    path: small/validation-*
- config_name: large
  data_files:
  - split: train
    path: "large/**"
---
# A data set
`;

const repositories: Readonly<Record<string, Repository>> = {
  "me/with-card": {
    main: {
      "README.md": Buffer.from(card),
      "small/train-00000-of-00002.parquet": parquet,
      "small/train-00001-of-00002.parquet": parquet,
      "small/validation-00000-of-00001.parquet": parquet,
      "large/a/b.parquet": parquet,
      "large/unrelated.bin": Buffer.from("x"),
    },
  },
  "me/folders": {
    main: { "data/train-00000-of-00001.parquet": parquet, "data/test-00000-of-00001.parquet": parquet },
    old: { "one/train/0000.parquet": parquet, "two/train/0000.parquet": parquet },
  },
  "me/csv-only": {
    main: { "rows.csv": Buffer.from("a,b\n") },
    "refs/convert/parquet": { "default/train/0000.parquet": parquet, "default/test/0000.parquet": parquet },
  },
  "me/none": { main: { "rows.csv": Buffer.from("a,b\n") }, "refs/convert/parquet": {} },
};

const options = { kind: "text", text: "text", label: "label", devShare: 0.25 } as const;

describe("hf:owner/name", () => {
  let server: Server;
  let cache: string;
  let requests: string[];

  beforeEach(async () => {
    cache = mkdtempSync(join(tmpdir(), "ptuning-hub-"));
    requests = [];
    server = standIn(repositories, requests);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    vi.stubEnv("HF_ENDPOINT", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    vi.stubEnv("PTUNING_CACHE", cache);
    vi.stubEnv("HF_HUB_OFFLINE", "");
    vi.stubEnv("NO_PROXY", "127.0.0.1");
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await new Promise((resolve) => server.close(resolve));
    rmSync(cache, { recursive: true, force: true });
  });

  test("files as the card says, shards joined, and no second download", async () => {
    const data = await readDataset("hf:me/with-card", options);
    expect([data.train.length, data.dev.length, data.test.length]).toEqual([24, 12, 0]);
    expect(data.labels).toEqual(["a", "b", "c"]);
    expect(requests.some((request) => request.includes("large"))).toBe(false);
    const before = requests.length;
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect((await readDataset("hf:me/with-card", options)).fingerprint).toBe(data.fingerprint);
    expect(requests.length).toBe(before);
  });

  test("another configuration, another revision", async () => {
    const large = await readDataset("hf:me/with-card/large", options);
    expect(large.train.length + large.dev.length).toBe(12);
    const two = await readDataset("hf:me/folders@old/two", options);
    expect(two.train.length + two.dev.length).toBe(12);
    expect(requests.some((request) => request.includes("one/train"))).toBe(false);
  });

  test("file names where there is no card; the hub's own Parquet where there is none", async () => {
    for (const name of ["hf:me/folders", "hf:me/csv-only"]) {
      const data = await readDataset(name, options);
      expect([data.train.length + data.dev.length, data.test.length]).toEqual([12, 12]);
    }
  });

  test("says which configurations there are, and what is missing", async () => {
    await expect(readDataset("hf:me/with-card/huge", options)).rejects.toThrow(
      'hf:me/with-card/huge: expected one of the configurations small, large, got "huge".',
    );
    await expect(readDataset("hf:me/folders@old", options)).rejects.toThrow(
      "configurations one, two, got none",
    );
    await expect(readDataset("hf:me/none", options)).rejects.toThrow(
      "expected Parquet files in the repository, found none",
    );
    await expect(readDataset("hf:me/absent", options)).rejects.toMatchObject({ code: "DOWNLOAD_FAILED" });
    await expect(readDataset("hf:absent", options)).rejects.toMatchObject({ code: "OPTION_INVALID" });
  });
});
