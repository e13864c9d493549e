/** What doctor says is what runs meet: the same threads, the same way to the hub. It shows no password. */

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultThreads, describeMachine } from "ptuning/engine";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ptuning } from "../support/cli.ts";
import { startHub } from "../support/hub.ts";
import { tinyFolder } from "../support/tiny.ts";

vi.setConfig({ testTimeout: 120_000 });

interface Check {
  readonly name: string;
  readonly state: string;
  readonly detail: string;
}

let server: Server;
let asked: IncomingMessage[];
let port: number;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-doctor-"));
  asked = [];
  server = createServer((request, response) => {
    asked.push(request);
    response.writeHead(204).end();
  });
  // A proxy is asked for a tunnel.
  server.on("connect", (request: IncomingMessage, socket) => {
    asked.push(request);
    socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

async function doctor(env: NodeJS.ProcessEnv): Promise<{ checks: Map<string, Check>; output: string }> {
  const cleared = {
    HTTP_PROXY: "",
    HTTPS_PROXY: "",
    http_proxy: "",
    https_proxy: "",
    NO_PROXY: "",
    no_proxy: "",
  };
  const { stdout, stderr, code } = await ptuning(["doctor", "--json"], {
    env: { ...cleared, HF_HUB_OFFLINE: "", PTUNING_CACHE: folder, ...env },
  });
  expect(code, stderr).toBe(0);
  const checks: Check[] = JSON.parse(stdout);
  return { checks: new Map(checks.map((check) => [check.name, check])), output: stdout + stderr };
}

test("the hub is asked with user and password, and neither is shown", async () => {
  const { checks, output } = await doctor({
    HF_ENDPOINT: `http://reader:correct-horse@127.0.0.1:${port}/hub`,
  });
  expect(checks.get("hub")).toMatchObject({
    state: "ok",
    detail: `http://***@127.0.0.1:${port}/hub answers (204)`,
  });
  expect(output).not.toMatch(/correct-horse|reader/);
  expect(asked.map(({ method, url, headers }) => [method, url, headers.authorization])).toEqual([
    ["HEAD", "/hub", `Basic ${Buffer.from("reader:correct-horse").toString("base64")}`],
  ]);
});

test("it takes the way of downloads: through a proxy", async () => {
  const proxy = `http://me:hidden-word@127.0.0.1:${port}`;
  const { checks, output } = await doctor({
    HF_ENDPOINT: "http://hub.invalid",
    http_proxy: proxy,
    https_proxy: proxy,
  });
  expect(asked.length).toBeGreaterThan(0);
  expect(checks.get("hub")!.detail).toMatch(/^http:\/\/hub\.invalid (does not answer|answers)/);
  expect(output).not.toContain("hidden-word");
});

test("a hub that is not to be asked is not asked; threads and processor are those of runs", async () => {
  const { checks } = await doctor({ HF_ENDPOINT: `http://127.0.0.1:${port}`, HF_HUB_OFFLINE: "1" });
  expect(asked).toEqual([]);
  expect(checks.get("hub")!.detail).toMatch(/HF_HUB_OFFLINE/);
  const threads = defaultThreads();
  expect(checks.get("engine")!.detail).toContain(`CPU, ${threads} thread`);
  expect(checks.get("cpu")!.detail).toBe(describeMachine());
  expect(checks.get("cache")!.detail).toMatch(/: 0 backbones, /);
});

test("a cache that cannot be written", async () => {
  const { stdout, code } = await ptuning(["doctor"], {
    env: { PTUNING_CACHE: "/dev/null/cache", HF_HUB_OFFLINE: "1" },
  });
  expect(code).toBe(1);
  expect(stdout).toMatch(/problem.*cache.*\/dev\/null\/cache: expected a place to write/);
});

test("an address with a password serves downloads, and messages do not show it", async () => {
  const files: Record<string, Uint8Array> = {};
  for (const name of await readdir(tinyFolder)) files[name] = await readFile(join(tinyFolder, name));
  const hub = await startHub("someone/tiny", files);
  const seen = new Set<string | undefined>();
  hub.intercept = ({ headers }) => {
    seen.add(headers.authorization);
    return false;
  };
  try {
    const env = {
      PTUNING_CACHE: folder,
      HF_ENDPOINT: hub.url.replace("//", "//me:correct-horse@"),
      HF_TOKEN: "",
    };
    const added = await ptuning(["backbones", "add", "someone/tiny"], { env });
    expect(added.code, added.stderr).toBe(0);
    expect([...seen]).toEqual([`Basic ${Buffer.from("me:correct-horse").toString("base64")}`]);
    const unknown = await ptuning(["backbones", "add", "someone/other"], { env });
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain("http://***@127.0.0.1");
    expect(added.stdout + added.stderr + unknown.stdout + unknown.stderr).not.toContain("correct-horse");
    for (const name of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!name.isFile()) continue;
      expect(await readFile(join(name.parentPath, name.name), "latin1")).not.toContain("correct-horse");
    }
  } finally {
    await hub.close();
  }
});
