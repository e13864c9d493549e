#!/usr/bin/env node
/**
 * Every check and test: types, lint, unused code, package layout, then all tests on the built package. What lacks
 * Python, Chromium, Redis, the network or ../shared/data is skipped with a line each; PTUNING_REQUIRE_ALL=1 makes that a failure.
 * PTUNING_COVERAGE=1 also measures line coverage of src/. The last line is "N passed, N failed".
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { prepare, root } from "./prepare.mjs";

const requireAll = process.env.PTUNING_REQUIRE_ALL === "1";
const coverage = process.env.PTUNING_COVERAGE === "1";
const bin = (name) => join(root, "node_modules/.bin", name);
let passed = 0;
let failed = 0;
/** What failed and why, said once more at the end: a log is often kept by its last lines only. */
const failures = [];

function fail(title, why) {
  failed++;
  failures.push(`FAILED  ${title}\n${why}`);
}

prepare();

/** One check as a whole: passes or fails. */
function check(title, command, args, env = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...env },
    shell: process.platform === "win32",
  });
  if (status === 0) {
    passed++;
    console.log(`ok      ${title}`);
  } else {
    fail(title, `${stdout}\n${stderr}`);
    console.log(failures.at(-1));
  }
  return status === 0;
}

/** Something that tests need and that could not be had. */
function missing(what, tests) {
  console.log(`skipped ${tests}: ${what}`);
  if (requireAll) fail(tests, what);
}

check("types", bin("tsc"), ["--noEmit"]);
check("lint and format", bin("biome"), ["check", "."]);
check("unused code and dependencies", bin("knip"), []);
check("package layout", bin("publint"), ["--strict"]);

if (!existsSync(join(root, "../shared/data")))
  missing("there is no ../shared/data", "tests on real data sets");
const python = spawnSync(process.execPath, ["tools/reference/run.mjs", "--prepare"], {
  cwd: root,
  encoding: "utf8",
});
if (python.status !== 0) missing("no Python 3 with pip, or no network", "tests against PyTorch and PEFT");
const fetched = spawnSync(process.execPath, ["dist/cli/main.js", "backbones", "add", "minilm"], {
  cwd: root,
  encoding: "utf8",
});
if (fetched.status !== 0) missing("the default backbone could not be fetched", "tests on real weights");

// Where nothing may be skipped, what a package of Debian brings is installed.
const packages = [
  {
    file: "/usr/bin/chromium",
    name: "chromium",
    tests: "tests of reports in a browser, and of WebGPU on its software GPU",
  },
  { file: "/usr/bin/redis-server", name: "redis-server", tests: "tests of the queue" },
];
const absent = packages.filter(({ file }) => !existsSync(file));
if (absent.length > 0 && requireAll && process.getuid?.() === 0) {
  const apt = (...args) => spawnSync("apt-get", ["-qq", ...args], { stdio: ["ignore", "ignore", "inherit"] });
  apt("update");
  apt("install", "-y", "--no-install-recommends", ...absent.map(({ name }) => name));
}
for (const { file, tests } of absent) if (!existsSync(file)) missing(`there is no ${file}`, tests);

const report = join(root, "coverage/vitest.json");
mkdirSync(join(root, "coverage"), { recursive: true });
rmSync(report, { force: true });
const vitest = [bin("vitest"), "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
const command = coverage ? [bin("c8"), ...vitest] : vitest;
const run = spawnSync(command[0], command.slice(1), {
  cwd: root,
  stdio: "inherit",
  shell: process.platform === "win32",
});
if (existsSync(report)) {
  const { testResults } = JSON.parse(readFileSync(report, "utf8"));
  for (const { name, status, message, assertionResults } of testResults) {
    const file = relative(root, name);
    for (const test of assertionResults) {
      if (test.status === "passed") passed++;
      else if (test.status === "failed") fail(`${file}: ${test.fullName}`, test.failureMessages.join("\n"));
      else if (requireAll) fail(`${file}: ${test.fullName}`, "was skipped");
    }
    if (status === "failed" && assertionResults.every((test) => test.status !== "failed"))
      fail(file, message);
  }
} else {
  fail("tests", `there is no ${report}`);
}
if (run.status !== 0 && failed === 0)
  fail("tests", "a process ended with an error, or coverage is too low: see above");
for (const failure of failures) console.log(failure);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
