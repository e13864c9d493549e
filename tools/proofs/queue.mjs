/**
 * Sweeps through Redis on changed data, two at once, and beside a job of another version: every row was computed on the data
 * of its own sweep, and nothing that others left is taken or removed. Needs /usr/bin/redis-server.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Queue } from "bullmq";
import { root as repository } from "../prepare.mjs";
import { scratch } from "../scratch.mjs";

const grid = ["--grid", "training.learningRate=1e-2,3e-2", "--set", "training.epochs=2"];

export async function prove({ size }) {
  const rounds = size === "full" ? 3 : 1;
  const place = await scratch("queue");
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  const flags = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", place];
  const server = spawn("/usr/bin/redis-server", flags, { stdio: "ignore" });
  const url = `redis://127.0.0.1:${port}`;
  const queue = new Queue("ptuning-trials", { connection: { url, maxRetriesPerRequest: null } });
  queue.on("error", () => {});
  const figures = { rounds, sweeps: 0, rows: 0, wrongRows: 0, thrownAway: 0 };
  const children = [];
  const start = (root, args) => {
    const child = spawn(process.execPath, [join(repository, "dist/cli/main.js"), ...args], {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
    });
    children.push(child);
    return child;
  };
  const sweep = (root, folder) =>
    start(root, ["sweep", "run.yaml", ...grid, "--queue", url, "--root", ".", "-o", folder, "--json"]);
  const check = (root, folder) => {
    const { inputs } = JSON.parse(readFileSync(join(root, folder, "sweep.json"), "utf8"));
    const { trials } = JSON.parse(readFileSync(join(root, folder, "results.json"), "utf8"));
    if (trials.length !== 2) throw new Error(`${folder}: expected 2 rows, got ${trials.length}`);
    for (const { id } of trials) {
      const home = join(root, folder, "trials", id);
      const { run } = JSON.parse(readFileSync(join(home, "result.json"), "utf8"));
      const path = join(home, run, "adapter/ptuning.json");
      const saved = existsSync(path) && JSON.parse(readFileSync(path, "utf8"));
      figures.rows++;
      const isRight = saved && saved.provenance.data.fingerprint === inputs.data;
      if (!isRight || saved.backbone.fingerprint !== inputs.backbone) figures.wrongRows++;
    }
    figures.sweeps++;
  };
  const ended = async (child) => {
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`expected a sweep that ends, got ${code}`);
  };
  try {
    for (let round = 0; round < rounds; round++) {
      const root = join(place, `root-${round}`);
      cpSync(join(repository, "test/upgrades/3a76d35"), root, { recursive: true });
      for (const name of ["sweep", "queued", "comparison"]) rmSync(join(root, name), { recursive: true });
      await queue.waitUntilReady();
      await queue.obliterate({ force: true });
      // A sweep is killed when its jobs are there; its results come later.
      const killed = sweep(root, "killed");
      while ((await queue.getWaitingCount()) < 2) await delay(20);
      killed.kill("SIGKILL");
      const [left] = await queue.getWaiting(0, 0);
      // A job of another version, its like in all else, that nobody may take.
      await queue.add(
        "trial",
        { ...left.data, package: "0.0.1" },
        { jobId: "trial-of-another-version", delay: 600_000 },
      );
      const worker = start(root, [
        "worker",
        "--queue",
        url,
        "--root",
        ".",
        "--workers",
        "1",
        "--threads",
        "1",
      ]);
      while ((await queue.getCompletedCount()) < 2) await delay(50);
      appendFileSync(join(root, "train.csv"), "w1 w7 w8,class 1\n");
      await Promise.all(["first", "second"].map((folder) => ended(sweep(root, folder))));
      for (const folder of ["first", "second"]) check(root, folder);
      figures.thrownAway += 2 - (await queue.getCompletedCount());
      if ((await queue.getJob("trial-of-another-version")) === undefined) figures.thrownAway++;
      worker.kill("SIGTERM");
      await once(worker, "close");
      if (readdirSync(join(root, "killed/trials")).length !== 2) figures.thrownAway++;
    }
  } finally {
    for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
    await queue.close();
    const gone = once(server, "exit");
    server.kill();
    await gone;
    rmSync(place, { recursive: true, force: true });
  }
  if (figures.wrongRows + figures.thrownAway > 0) throw new Error(JSON.stringify(figures));
  return figures;
}
