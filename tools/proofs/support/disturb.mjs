/**
 * For `node --import`: lets one thing go wrong, as the environment says.
 *   FAIL_DISK=EIO|ENOSPC with FAIL_AT=n, FAIL_UNDER=folder: the n-th step that changes files below the folder fails; on a
 *     full disk (ENOSPC) so do all later ones that need room.
 *   FAIL_ENGINE=n: the n-th run of the engine fails.   FAIL_THREAD=ms: the engine's thread ends after so long.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import threads from "node:worker_threads";

const { FAIL_DISK: code, FAIL_AT: at, FAIL_UNDER: under, FAIL_ENGINE: run, FAIL_THREAD: ms } = process.env;

if (code) failDisk();
if (run || ms) failEngine();
syncBuiltinESMExports();

function failDisk() {
  let steps = 0;
  const needsRoom = new Set(["open", "mkdir", "write", "writev", "writeFile", "copyFile", "sync"]);
  const refusal = (name) =>
    Object.assign(new Error(`${code}: injected, ${name}`), { code, syscall: name, errno: -5 });
  /** The error of this step, if it fails. */
  const failing = (name) => {
    const isLater = code === "ENOSPC" && steps >= Number(at) && needsRoom.has(name);
    return ++steps === Number(at) || isLater ? refusal(name) : undefined;
  };
  const concerns = (args) => args.some((arg) => typeof arg === "string" && arg.startsWith(under));
  const writes = (flags) => typeof flags === "number" || (typeof flags === "string" && flags !== "r");
  const wrap = (owner, name, counts, fail) => {
    const original = owner[name];
    owner[name] = function (...args) {
      const error = counts.call(this, args) ? failing(name.replace(/Sync$/, "")) : undefined;
      return error === undefined ? original.apply(this, args) : fail(error, args);
    };
  };
  const reject = (error) => Promise.reject(error);
  const toss = (error) => {
    throw error;
  };
  const call = (error, args) => process.nextTick(args.at(-1), error);
  for (const name of ["rename", "rm", "unlink", "mkdir", "link", "truncate", "writeFile", "copyFile"]) {
    wrap(fs.promises, name, concerns, reject);
    wrap(fs, name, concerns, call);
    wrap(fs, `${name}Sync`, concerns, toss);
  }
  const isWriting = (args) => concerns(args) && writes(args[1]);
  const opened = new WeakSet();
  const descriptors = new Set();
  const openPromise = fs.promises.open;
  fs.promises.open = async (...args) => {
    const error = isWriting(args) ? failing("open") : undefined;
    if (error) throw error;
    const handle = await openPromise(...args);
    if (isWriting(args)) opened.add(handle);
    return handle;
  };
  const { open } = fs;
  fs.open = (path, flags, ...rest) => {
    if (!isWriting([path, flags])) return open(path, flags, ...rest);
    const done = rest.pop();
    const error = failing("open");
    if (error) return process.nextTick(done, error);
    return open(path, flags, ...rest, (refused, descriptor) => {
      if (descriptor !== undefined) descriptors.add(descriptor);
      done(refused, descriptor);
    });
  };
  wrap(fs, "openSync", isWriting, toss);
  for (const name of ["write", "writev"]) wrap(fs, name, ([descriptor]) => descriptors.has(descriptor), call);
  openPromise(new URL(import.meta.url), "r").then(async (probe) => {
    const handles = Object.getPrototypeOf(probe);
    await probe.close();
    for (const name of ["write", "writeFile", "sync", "truncate"]) {
      wrap(
        handles,
        name,
        function () {
          return opened.has(this);
        },
        reject,
      );
    }
  });
}

function failEngine() {
  const { Worker } = threads;
  threads.Worker = class extends Worker {
    constructor(place, options) {
      super(
        `${ms ? `setTimeout(() => process.exit(9), ${Number(ms)}).unref();` : ""}
        import("onnxruntime-node").then(({ InferenceSession: { prototype } }) => {
          const { run } = prototype;
          let runs = 0;
          prototype.run = function (...args) {
            if (++runs === ${Number(run ?? -1)}) throw new Error("injected");
            return run.apply(this, args);
          };
          return import(${JSON.stringify(place.href)});
        });`,
        { ...options, eval: true },
      );
    }
  };
}
