/**
 * For `node --import`: kills the process right before the n-th step (KILL_AT) that changes files below a folder
 * (KILL_UNDER), so that no moment between two of them is left to chance.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const at = Number(process.env.KILL_AT);
const under = process.env.KILL_UNDER;
let steps = 0;
const opened = new WeakSet();
const descriptors = new Set();

const concerns = (args) => args.some((arg) => typeof arg === "string" && arg.startsWith(under));
const writes = (flags) => typeof flags === "number" || (typeof flags === "string" && flags !== "r");

function step() {
  if (++steps === at) process.kill(process.pid, "SIGKILL");
}

function wrap(owner, name, counts) {
  const original = owner[name];
  owner[name] = function (...args) {
    if (counts.call(this, args)) step();
    return original.apply(this, args);
  };
}

const paths = ["rename", "rm", "unlink", "mkdir", "link", "truncate", "writeFile", "copyFile"];
for (const name of paths) {
  wrap(fs.promises, name, concerns);
  wrap(fs, name, concerns);
  wrap(fs, `${name}Sync`, concerns);
}

const openPromise = fs.promises.open;
const probe = await openPromise(new URL(import.meta.url), "r");
const handles = Object.getPrototypeOf(probe);
await probe.close();
fs.promises.open = async (...args) => {
  const counts = concerns(args) && writes(args[1]);
  if (counts) step();
  const handle = await openPromise(...args);
  if (counts) opened.add(handle);
  return handle;
};
for (const name of ["write", "writeFile", "sync", "truncate", "close"]) {
  wrap(handles, name, function () {
    return opened.has(this);
  });
}

const { open } = fs;
fs.open = (path, flags, ...rest) => {
  if (!concerns([path]) || !writes(flags)) return open(path, flags, ...rest);
  step();
  const done = rest.pop();
  return open(path, flags, ...rest, (error, descriptor) => {
    if (descriptor !== undefined) descriptors.add(descriptor);
    done(error, descriptor);
  });
};
wrap(fs, "openSync", ([path, flags]) => concerns([path]) && writes(flags));
for (const name of ["write", "writev"]) wrap(fs, name, ([descriptor]) => descriptors.has(descriptor));
syncBuiltinESMExports();
