import type { Engine, Session } from "./engine.ts";

/** The session for as long as nobody aborts: then its calls throw the signal's reason; what is running ends first. */
export function abortableSession(session: Session, signal: AbortSignal | undefined): Session {
  if (signal === undefined) return session;
  return {
    async bind(feeds) {
      signal.throwIfAborted();
      await session.bind(feeds);
    },
    async run(feeds, keep) {
      signal.throwIfAborted();
      return session.run(feeds, keep);
    },
    async sweep(sweep) {
      signal.throwIfAborted();
      return session.sweep(sweep);
    },
    release: () => session.release(),
    [Symbol.asyncDispose]: () => session.release(),
  };
}

/** The engine for as long as nobody aborts: then it takes nothing more, and calls of its sessions throw the signal's reason. */
export function abortableEngine(engine: Engine, signal: AbortSignal | undefined): Engine {
  if (signal === undefined) return engine;
  return {
    name: engine.name,
    facts: engine.facts,
    async compile(graph, options) {
      signal.throwIfAborted();
      return abortableSession(await engine.compile(graph, options), signal);
    },
    async hold(tensors) {
      signal.throwIfAborted();
      return engine.hold(tensors);
    },
    close: () => engine.close(),
    [Symbol.asyncDispose]: () => engine.close(),
  };
}
