/**
 * Sweeps through Redis on changed data, two at once, beside a job and a result of another version and beside forged
 * records: every row was computed on the data of its own sweep, and nothing that others left is taken or removed. Needs
 * /usr/bin/redis-server.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Queue, Worker } from "bullmq";
import { hashText, packageVersion } from "../../dist/files/index.js";
import { canonicalJson } from "../../dist/trials/index.js";
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
  const figures = { rounds, sweeps: 0, rows: 0, wrongRows: 0, thrownAway: 0, forged: 0, otherVersions: 0 };
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
      const { run, origin, dev } = JSON.parse(readFileSync(join(home, "result.json"), "utf8"));
      const path = join(home, run, "adapter/ptuning.json");
      const saved = existsSync(path) && JSON.parse(readFileSync(path, "utf8"));
      figures.rows++;
      const isRight = saved && saved.provenance.data.fingerprint === inputs.data;
      const isOurs = origin.version === packageVersion() && dev.accuracy <= 1;
      if (!isRight || !isOurs || saved.backbone.fingerprint !== inputs.backbone) figures.wrongRows++;
    }
    figures.sweeps++;
  };
  const ended = async (child, expected = 0) => {
    const [code] = await once(child, "close");
    if (code !== expected) throw new Error(`expected a sweep that ends with ${expected}, got ${code}`);
  };
  const work = (root) =>
    start(root, ["worker", "--queue", url, "--root", ".", "--workers", "1", "--threads", "1"]);

  /** Completes the next job of the queue with a record, as a worker of any make could. */
  const complete = async (record) => {
    const forger = new Worker(queue.name, null, { connection: { url, maxRetriesPerRequest: null } });
    try {
      const job = await forger.getNextJob("forger");
      await job.moveToCompleted(record(job.data), "forger", false);
      return job.id;
    } finally {
      await forger.close();
    }
  };
  /** A record that would win: a score that none can have. */
  const winner = (template, version) => (job) => {
    const { package: _, ...said } = job;
    const origin = { identity: hashText(canonicalJson(said)).slice(0, 32), version };
    return { ...template, id: job.id, overrides: job.overrides, origin, dev: { accuracy: 2, loss: 0 } };
  };
  /** Under the ids of a sweep's two jobs: a record for another content, and one of another version. */
  const forge = async (root) => {
    await queue.obliterate({ force: true });
    const [id] = readdirSync(join(root, "first/trials"));
    const template = JSON.parse(readFileSync(join(root, "first/trials", id, "result.json"), "utf8"));
    const begun = sweep(root, "third");
    while ((await queue.getWaitingCount()) < 2) await delay(20);
    begun.kill("SIGKILL");
    await once(begun, "close");
    const jobs = (await queue.getWaiting()).toSorted((a, b) => a.timestamp - b.timestamp);
    for (const job of jobs) await job.remove();
    const [first, second] = jobs;
    await queue.add("trial", { ...first.data, folder: "./elsewhere" }, { jobId: first.id });
    await complete(() => winner(template, packageVersion())(first.data));
    await queue.add("trial", second.data, { jobId: second.id });
    await complete(winner(template, "0.0.1"));
    // The record of the other version stops the sweep, and stays.
    await ended(sweep(root, "third"), 1);
    if ((await (await queue.getJob(second.id))?.getState()) !== "completed") figures.thrownAway++;
    await (await queue.getJob(second.id)).remove();
    const worker = work(root);
    await ended(sweep(root, "third"));
    check(root, "third");
    worker.kill("SIGTERM");
    await once(worker, "close");
    figures.forged++;
    figures.otherVersions++;
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
      const worker = work(root);
      while ((await queue.getCompletedCount()) < 2) await delay(50);
      appendFileSync(join(root, "train.csv"), "w1 w7 w8,class 1\n");
      await Promise.all(["first", "second"].map((folder) => ended(sweep(root, folder))));
      for (const folder of ["first", "second"]) check(root, folder);
      figures.thrownAway += 2 - (await queue.getCompletedCount());
      if ((await queue.getJob("trial-of-another-version")) === undefined) figures.thrownAway++;
      worker.kill("SIGTERM");
      await once(worker, "close");
      if (readdirSync(join(root, "killed/trials")).length !== 2) figures.thrownAway++;
      await forge(root);
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
