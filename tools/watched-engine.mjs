/**
 * An engine under observation: counts the sessions and held tensors that are open, and fails at a call of one's choice.
 */

/** What an injected failure throws. */
export class Injected extends Error {
  constructor(call) {
    super(`injected at call ${call}`);
  }
}

/**
 * @param {import("../dist/engine/index.js").Engine} inner
 * @returns the engine, and `watch`: `open` counts what is open; `calls` those made since `reset`; at call `failAt` (from 1)
 * `onCall` decides what happens, by default a failure
 */
export function watchedEngine(inner) {
  const open = new Set();
  const watch = {
    calls: 0,
    failAt: Number.POSITIVE_INFINITY,
    onCall: undefined,
    get open() {
      return open.size;
    },
    reset(failAt = Number.POSITIVE_INFINITY, onCall = undefined) {
      Object.assign(watch, { calls: 0, failAt, onCall });
    },
  };
  const call = async (run) => {
    watch.calls++;
    if (watch.calls === watch.failAt) {
      if (watch.onCall === undefined) throw new Injected(watch.calls);
      await watch.onCall();
    }
    return run();
  };
  // The engine knows its own objects: they are changed in place.
  const watched = (object, names) => {
    open.add(object);
    for (const name of names) {
      const own = object[name];
      object[name] = (...given) => call(() => own.apply(object, given));
    }
    const { release } = object;
    const released = async () => {
      open.delete(object);
      await release.call(object);
    };
    return Object.assign(object, { release: released, [Symbol.asyncDispose]: released });
  };
  const engine = {
    name: inner.name,
    facts: inner.facts,
    compile: async (...given) => watched(await call(() => inner.compile(...given)), ["bind", "run", "sweep"]),
    hold: async (...given) => watched(await call(() => inner.hold(...given)), ["read", "write", "grow"]),
    close: () => inner.close(),
    [Symbol.asyncDispose]: () => inner.close(),
  };
  return { engine, watch };
}
