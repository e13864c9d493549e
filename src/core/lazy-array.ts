import { countWhile } from "./halving.ts";

/** How Node asks values for the form in which they are shown; it would show what stands behind a proxy. */
const inspected = Symbol.for("nodejs.util.inspect.custom");
/** Elements that are shown so; one more, and Node says that there are more. */
const shownElements = 101;

/**
 * An array that cannot be changed and whose elements are made each time they are read: millions of them need no objects,
 * and who reads it need not know. Reading the same element twice gives two equal ones.
 * @param at makes the element of an index from 0 to `length` − 1
 */
export function lazyArray<E>(length: number, at: (index: number) => E): readonly E[] {
  // Stays empty: a length of its own would take memory.
  const target: E[] = [];
  const read = (index: number): E | undefined => {
    const own = index < 0 ? index + length : index;
    return own >= 0 && own < length ? at(own) : undefined;
  };
  function* values(): Generator<E, undefined> {
    for (let i = 0; i < length; i++) yield at(i);
  }
  /** The index that a key names; −1 where it is none of this array. */
  const indexOf = (key: string | symbol): number => {
    if (typeof key === "symbol" || !canonical.test(key)) return -1;
    const index = Number(key);
    return index < length ? index : -1;
  };
  const show = (
    _depth: number,
    options: object,
    inspect: (value: unknown, options: object) => string,
  ): string =>
    inspect(
      Array.from({ length: Math.min(length, shownElements) }, (_, i) => at(i)),
      options,
    );
  Object.defineProperty(target, inspected, { value: show, configurable: true });
  const refuse = (): boolean => false;
  const array = new Proxy(target, {
    get(_, key) {
      if (key === "length") return length;
      // Long arrays are read in these two ways: they are faster than keys, which are texts.
      if (key === Symbol.iterator || key === "values") return values;
      if (key === "at") return read;
      const index = indexOf(key);
      return index < 0 ? Reflect.get(target, key) : at(index);
    },
    has: (_, key) => indexOf(key) >= 0 || Reflect.has(target, key),
    ownKeys: () => [...Array.from({ length }, (_, i) => String(i)), "length"],
    getOwnPropertyDescriptor(_, key) {
      const index = indexOf(key);
      if (index >= 0) return { value: at(index), enumerable: true, configurable: true, writable: false };
      const own = Reflect.getOwnPropertyDescriptor(target, key);
      return key === "length" ? { ...own, value: length } : own;
    },
    set: refuse,
    defineProperty: refuse,
    deleteProperty: refuse,
    setPrototypeOf: refuse,
    preventExtensions: refuse,
  });
  makers.set(array, at);
  return array;
}

/** What makes the elements of each lazy array: arrays made of others read them without a detour. */
const makers = new WeakMap<object, (index: number) => unknown>();

function readerOf<E>(items: readonly E[]): (index: number) => E {
  return (makers.get(items) as ((index: number) => E) | undefined) ?? ((index) => items[index]!);
}

/** How an index is written as a key. */
const canonical = /^(?:0|[1-9]\d*)$/;

/** Some elements of an array, by their indices, read from it each time. */
export function pickFrom<E>(items: readonly E[], indices: ArrayLike<number>): readonly E[] {
  const read = readerOf(items);
  return lazyArray(indices.length, (i) => read(indices[i]!));
}

/**
 * All elements of an array but some, read from it each time.
 * @param indices of those that are left out, ascending, each once
 */
export function leaveOut<E>(items: readonly E[], indices: ArrayLike<number>): readonly E[] {
  const read = readerOf(items);
  return lazyArray(items.length - indices.length, (i) => {
    // In front of the i-th that is left stand all whose index, without those left out before it, is at most i.
    return read(i + countWhile(indices.length, (n) => indices[n]! - n <= i));
  });
}

/** What a function makes of each element, made each time it is read. */
export function lazyMap<E, R>(items: readonly E[], make: (item: E, index: number) => R): readonly R[] {
  const read = readerOf(items);
  return lazyArray(items.length, (i) => make(read(i), i));
}

/** Several arrays one after the other, read from them each time. */
export function lazyJoin<E>(parts: readonly (readonly E[])[]): readonly E[] {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  /** Index of the first element of each part, and behind the last. */
  const starts = [0];
  const readers = parts.map(readerOf);
  for (const part of parts) starts.push(starts.at(-1)! + part.length);
  return lazyArray(starts.at(-1)!, (index) => {
    const part = countWhile(parts.length, (n) => starts[n]! <= index) - 1;
    return readers[part]!(index - starts[part]!);
  });
}
