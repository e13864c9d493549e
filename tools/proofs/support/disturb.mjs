/**
 * For `node --import`: lets one thing go wrong, as the environment says.
 *   DISTURB_STEP=n, DISTURB_UNDER=folder: at the n-th step that changes files below the folder happens what DISTURB_BY says:
 *     SIGKILL: the process is killed right before it;   EIO: the step fails;   ENOSPC: so do all later ones that need room.
 *   DISTURB_ENGINE=n: the n-th run of the engine fails.   DISTURB_THREAD=ms: the engine's thread ends after so long.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import threads from "node:worker_threads";

const {
  DISTURB_STEP: at,
  DISTURB_UNDER: under,
  DISTURB_BY: by,
  DISTURB_ENGINE: run,
  DISTURB_THREAD: ms,
} = process.env;

if (at) await disturbDisk();
if (run || ms) disturbEngine();
syncBuiltinESMExports();

async function disturbDisk() {
  const isKill = by === "SIGKILL";
  const needsRoom = new Set(["open", "mkdir", "write", "writev", "writeFile", "copyFile", "sync"]);
  let steps = 0;
  /** Counts a step. @returns its error, if it fails */
  const step = (name) => {
    const isNow = ++steps === Number(at);
    if (isNow && isKill) process.kill(process.pid, "SIGKILL");
    const isLater = by === "ENOSPC" && steps > Number(at) && needsRoom.has(name);
    if (isKill || !(isNow || isLater)) return undefined;
    return Object.assign(new Error(`${by}: injected, ${name}`), { code: by, syscall: name, errno: -5 });
  };
  const concerns = (args) => args.some((arg) => typeof arg === "string" && arg.startsWith(under));
  const isWriting = ([path, flags]) =>
    concerns([path]) && (typeof flags === "number" || (typeof flags === "string" && flags !== "r"));

  const reject = (error) => Promise.reject(error);
  const toss = (error) => {
    throw error;
  };
  const call = (error, args) => process.nextTick(args.at(-1), error);
  /** Makes calls that count steps, which fail in the manner of the function. */
  const wrap = (owner, name, counts, fail) => {
    const original = owner[name];
    owner[name] = function (...args) {
      const error = counts.call(this, args) ? step(name.replace(/Sync$/, "")) : undefined;
      return error === undefined ? original.apply(this, args) : fail(error, args);
    };
  };
  for (const name of ["rename", "rm", "unlink", "mkdir", "link", "truncate", "writeFile", "copyFile"]) {
    wrap(fs.promises, name, concerns, reject);
    wrap(fs, name, concerns, call);
    wrap(fs, `${name}Sync`, concerns, toss);
  }

  const opened = new WeakSet();
  const openPromise = fs.promises.open;
  const probe = await openPromise(new URL(import.meta.url), "r");
  const handles = Object.getPrototypeOf(probe);
  await probe.close();
  fs.promises.open = async (...args) => {
    const error = isWriting(args) ? step("open") : undefined;
    if (error) throw error;
    const handle = await openPromise(...args);
    if (isWriting(args)) opened.add(handle);
    return handle;
  };
  // Whoever is told that closing failed has closed.
  for (const name of ["write", "writeFile", "sync", "truncate", ...(isKill ? ["close"] : [])]) {
    const isOpened = function () {
      return opened.has(this);
    };
    wrap(handles, name, isOpened, reject);
  }

  const descriptors = new Set();
  const { open } = fs;
  fs.open = (path, flags, ...rest) => {
    if (!isWriting([path, flags])) return open(path, flags, ...rest);
    const done = rest.pop();
    const error = step("open");
    if (error) return process.nextTick(done, error);
    return open(path, flags, ...rest, (refused, descriptor) => {
      if (descriptor !== undefined) descriptors.add(descriptor);
      done(refused, descriptor);
    });
  };
  wrap(fs, "openSync", isWriting, toss);
  for (const name of ["write", "writev"]) wrap(fs, name, ([descriptor]) => descriptors.has(descriptor), call);
}

function disturbEngine() {
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
