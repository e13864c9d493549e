/** Parts of proofs that are processes of their own: their memory is theirs alone. */
import { fork } from "node:child_process";

/**
 * Runs a part to its end.
 * @param script the file, which sends what it found with `process.send`
 * @param what it is called where it fails
 */
export function inOwnProcess(script, args, { what, env = process.env }) {
  return new Promise((resolve, reject) => {
    const child = fork(script, args, { env });
    let result;
    child.on("message", (message) => {
      result = message;
    });
    child.on("error", reject);
    child.on("exit", (code, signal) =>
      code === 0 && result ? resolve(result) : reject(new Error(`${what} ended with ${code ?? signal}.`)),
    );
  });
}

/** What folders of the package export, loaded by the part that needs it: whoever only starts parts stays small. */
export async function internals(...folders) {
  return Object.assign({}, ...(await Promise.all(folders.map((name) => import(`ptuning/internal/${name}`)))));
}
