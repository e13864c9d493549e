/**
 * Pickles of plain values, read without running anything: the opcodes are Python's (Lib/pickletools.py), but names of
 * Python's stand for nothing by themselves. Who reads says which names there may be, and what a call of one gives.
 */
import { shown } from "../core/index.ts";

/** A value of a pickle; what `rules` make of names, calls and persistent ids are objects of the reader's own. */
export type PickleValue = null | boolean | number | bigint | string | object;

/** A tuple. */
export class PickleTuple {
  readonly items: readonly PickleValue[];
  /** How deep containers lie within. */
  readonly depth: number;

  constructor(items: readonly PickleValue[]) {
    this.items = items;
    this.depth = items.reduce<number>((depth, item) => Math.max(depth, depthOf(item) + 1), 0);
  }
}

/** A list. */
export class PickleList {
  readonly items: PickleValue[] = [];
  depth = 0;
}

/** A dict. */
export class PickleMap {
  readonly entries: Map<string | number | boolean | null, PickleValue> = new Map();
  depth = 0;
}

function depthOf(value: PickleValue): number {
  return value instanceof PickleTuple || value instanceof PickleList || value instanceof PickleMap
    ? value.depth
    : 0;
}

/** What a pickle may speak of. Each throws where it may not. */
export interface PickleRules {
  /** The object that stands for a global of Python, by exactly this module and name. */
  global(module: string, name: string): object;
  /** What calling such an object gives. */
  call(callee: PickleValue, args: PickleTuple): PickleValue;
  /** What a persistent id stands for. */
  persistent(id: PickleValue): PickleValue;
}

/** A value, and where the bytes of its pickle end. */
export interface PickleRead {
  readonly value: PickleValue;
  readonly end: number;
}

/** Limits that no checkpoint comes near; a pickle beyond them is not read to its end. */
const limits = { opcodes: 10_000_000, textBytes: 1_000_000, depth: 64, longBytes: 32 } as const;

/** The newest protocol. */
const maxProtocol = 5;

/** What each opcode does; one that is not here is refused. */
const steps: ReadonlyMap<number, (machine: Machine) => void> = new Map(
  Object.values({
    PROTO: [0x80, (m) => m.protocol(m.byte())],
    // How far to read ahead.
    FRAME: [0x95, (m) => m.skip(8)],
    MARK: [0x28, (m) => m.mark()],
    NONE: [0x4e, (m) => m.push(null)],
    NEWTRUE: [0x88, (m) => m.push(true)],
    NEWFALSE: [0x89, (m) => m.push(false)],
    BININT: [0x4a, (m) => m.push(m.view.getInt32(m.skip(4), true))],
    BININT1: [0x4b, (m) => m.push(m.byte())],
    BININT2: [0x4d, (m) => m.push(m.view.getUint16(m.skip(2), true))],
    LONG1: [0x8a, (m) => m.push(m.long(m.byte()))],
    BINFLOAT: [0x47, (m) => m.push(m.view.getFloat64(m.skip(8)))],
    BINUNICODE: [0x58, (m) => m.push(m.text(m.uint32()))],
    BINSTRING: [0x54, (m) => m.push(m.text(m.uint32()))],
    SHORT_BINUNICODE: [0x8c, (m) => m.push(m.text(m.byte()))],
    SHORT_BINSTRING: [0x55, (m) => m.push(m.text(m.byte()))],
    EMPTY_TUPLE: [0x29, (m) => m.tuple([])],
    TUPLE: [0x74, (m) => m.tuple(m.popMark())],
    TUPLE1: [0x85, (m) => m.tuple(m.popMany(1))],
    TUPLE2: [0x86, (m) => m.tuple(m.popMany(2))],
    TUPLE3: [0x87, (m) => m.tuple(m.popMany(3))],
    EMPTY_LIST: [0x5d, (m) => m.push(new PickleList())],
    APPEND: [0x61, (m) => m.append(m.popMany(1))],
    APPENDS: [0x65, (m) => m.append(m.popMark())],
    EMPTY_DICT: [0x7d, (m) => m.push(new PickleMap())],
    SETITEM: [0x73, (m) => m.set(m.popMany(2))],
    SETITEMS: [0x75, (m) => m.set(m.popMark())],
    BINPUT: [0x71, (m) => m.put(m.byte())],
    LONG_BINPUT: [0x72, (m) => m.put(m.uint32())],
    MEMOIZE: [0x94, (m) => m.put(m.memo.size)],
    BINGET: [0x68, (m) => m.get(m.byte())],
    LONG_BINGET: [0x6a, (m) => m.get(m.uint32())],
    GLOBAL: [0x63, (m) => m.global(m.line(), m.line())],
    STACK_GLOBAL: [0x93, (m) => m.global(...(m.popMany(2) as [PickleValue, PickleValue]))],
    BINPERSID: [0x51, (m) => m.push(m.rules.persistent(m.pop()))],
    REDUCE: [0x52, (m) => m.call(...(m.popMany(2) as [PickleValue, PickleValue]))],
    BUILD: [0x62, (m) => m.build(m.pop())],
  } satisfies Record<string, [code: number, step: (machine: Machine) => void]>),
);

/** The other opcodes by name: they make objects, read bytes from elsewhere or belong to protocols 0 and 1. */
const refused: ReadonlyMap<number, string> = new Map(
  Object.entries({
    ...{ POP: 0x30, POP_MARK: 0x31, DUP: 0x32, BINBYTES: 0x42, SHORT_BINBYTES: 0x43, FLOAT: 0x46, INT: 0x49 },
    ...{
      LONG: 0x4c,
      PERSID: 0x50,
      STRING: 0x53,
      UNICODE: 0x56,
      DICT: 0x64,
      GET: 0x67,
      INST: 0x69,
      LIST: 0x6c,
    },
    ...{ OBJ: 0x6f, PUT: 0x70, NEWOBJ: 0x81, EXT1: 0x82, EXT2: 0x83, EXT4: 0x84, LONG4: 0x8b },
    ...{
      BINUNICODE8: 0x8d,
      BINBYTES8: 0x8e,
      EMPTY_SET: 0x8f,
      ADDITEMS: 0x90,
      FROZENSET: 0x91,
      NEWOBJ_EX: 0x92,
    },
    ...{ BYTEARRAY8: 0x96, NEXT_BUFFER: 0x97, READONLY_BUFFER: 0x98 },
  }).map(([name, code]) => [code, name]),
);

/** Ends a pickle. */
const stopCode = 0x2e;

/** Thrown where the bytes end in the midst of a pickle. */
class EndOfBytes extends Error {}

/**
 * Reads the pickle that begins at `start`.
 * @param fail throws, with what is wrong and where
 * @returns `undefined` if the bytes end before the pickle does
 */
export function readPickle(
  bytes: Uint8Array,
  start: number,
  rules: PickleRules,
  fail: (message: string) => never,
): PickleRead | undefined {
  const machine = new Machine(bytes, start, rules, fail);
  try {
    return machine.run();
  } catch (error) {
    if (error instanceof EndOfBytes) return undefined;
    throw error;
  }
}

class Machine {
  readonly #bytes: Uint8Array;
  readonly view: DataView;
  readonly #start: number;
  readonly rules: PickleRules;
  readonly fail: (message: string) => never;
  #at: number;
  #stack: PickleValue[] = [];
  /** Stacks beneath open marks. */
  readonly #below: PickleValue[][] = [];
  readonly memo = new Map<number, PickleValue>();

  constructor(bytes: Uint8Array, start: number, rules: PickleRules, fail: (message: string) => never) {
    this.#bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#start = start;
    this.#at = start;
    this.rules = rules;
    this.fail = (message) => fail(`pickle, byte ${this.#at - this.#start}: ${message}`);
  }

  run(): PickleRead {
    for (let count = 0; count < limits.opcodes; count++) {
      const opcode = this.byte();
      if (opcode === stopCode) return this.#stop();
      const step = steps.get(opcode);
      if (step === undefined) {
        const got = refused.get(opcode) ?? `0x${opcode.toString(16).padStart(2, "0")}, which is none`;
        return this.fail(`expected opcodes of plain data, got ${got}.`);
      }
      step(this);
    }
    return this.fail(`expected at most ${limits.opcodes} opcodes, got more.`);
  }

  #stop(): PickleRead {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#below.length > 0)
      this.fail("expected one value at the end, got more.");
    return { value, end: this.#at };
  }

  protocol(version: number): void {
    if (version > maxProtocol) this.fail(`expected a protocol of at most ${maxProtocol}, got ${version}.`);
  }

  mark(): void {
    if (this.#below.length >= limits.depth) this.#tooDeep();
    this.#below.push(this.#stack);
    this.#stack = [];
  }

  call(callee: PickleValue, args: PickleValue): void {
    if (!(args instanceof PickleTuple)) this.fail("REDUCE: expected a tuple of arguments.");
    this.push(this.rules.call(callee, args));
  }

  /** Attributes of a dict, such as the `_metadata` of a state dict, change nothing in it. */
  build(_attributes: PickleValue): void {
    if (!(this.#top() instanceof PickleMap))
      this.fail("BUILD: expected the attributes of a dict, got those of something else.");
  }

  /** @returns where the next `count` bytes begin */
  skip(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw new EndOfBytes();
    this.#at += count;
    return at;
  }

  byte(): number {
    return this.#bytes[this.skip(1)]!;
  }

  text(length: number): string {
    if (length > limits.textBytes)
      this.fail(`expected texts of at most ${limits.textBytes} bytes, got ${length}.`);
    const at = this.skip(length);
    return this.#decode(at, at + length);
  }

  uint32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  /** A text up to the end of its line. */
  line(): string {
    const at = this.#at;
    const end = this.#bytes.indexOf(0x0a, at);
    const length = (end < 0 ? this.#bytes.length : end) - at;
    if (length > limits.textBytes)
      this.fail(`expected texts of at most ${limits.textBytes} bytes, got more.`);
    this.skip(length + 1);
    return this.#decode(at, at + length);
  }

  #decode(at: number, end: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#bytes.subarray(at, end));
    } catch {
      return this.fail("expected texts in UTF-8, got other bytes.");
    }
  }

  /** A whole number of any size, in two's complement. */
  long(length: number): number | bigint {
    if (length > limits.longBytes)
      this.fail(`expected numbers of at most ${limits.longBytes} bytes, got ${length}.`);
    const at = this.skip(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[at + i]!);
    const signed = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  push(value: PickleValue): void {
    this.#stack.push(value);
  }

  tuple(items: PickleValue[]): void {
    const tuple = new PickleTuple(items);
    if (tuple.depth > limits.depth) this.#tooDeep();
    this.#stack.push(tuple);
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined) return this.fail("expected a value on the stack, got none.");
    return value;
  }

  pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  popMany(count: number): PickleValue[] {
    if (this.#stack.length < count)
      this.fail(`expected ${count} values on the stack, got ${this.#stack.length}.`);
    return this.#stack.splice(-count);
  }

  /** What was put on the stack since the last mark. */
  popMark(): PickleValue[] {
    const items = this.#stack;
    this.#stack = this.#below.pop() ?? this.fail("expected a mark, got none.");
    return items;
  }

  append(values: readonly PickleValue[]): void {
    const list = this.#top();
    if (!(list instanceof PickleList)) this.fail("APPEND: expected a list.");
    for (const value of values) list.items.push(this.#within(list, value));
  }

  set(pairs: readonly PickleValue[]): void {
    const map = this.#top();
    if (!(map instanceof PickleMap)) this.fail("SETITEM: expected a dict.");
    if (pairs.length % 2 !== 0) this.fail("SETITEMS: expected pairs, got an odd number of values.");
    for (let i = 0; i < pairs.length; i += 2) {
      const key = pairs[i]!;
      if (typeof key === "bigint" || (typeof key === "object" && key !== null))
        this.fail("expected texts and numbers as keys of a dict, got something else.");
      if (map.entries.has(key)) this.fail(`expected each key once, got ${shown(key)} again.`);
      map.entries.set(key, this.#within(map, pairs[i + 1]!));
    }
  }

  /** A value that goes into a container, which lies deeper for it. */
  #within(container: PickleList | PickleMap, value: PickleValue): PickleValue {
    container.depth = Math.max(container.depth, depthOf(value) + 1);
    if (container.depth > limits.depth) this.#tooDeep();
    return value;
  }

  put(index: number): void {
    this.memo.set(index, this.#top());
  }

  get(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) this.fail(`expected a value kept as ${index}, got none.`);
    this.push(value!);
  }

  global(module: PickleValue, name: PickleValue): void {
    if (typeof module !== "string" || typeof name !== "string")
      this.fail("STACK_GLOBAL: expected two texts.");
    this.push(this.rules.global(module, name));
  }

  #tooDeep(): never {
    return this.fail(`expected values nested at most ${limits.depth} deep, got deeper ones.`);
  }
}
