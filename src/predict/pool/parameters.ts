import type { Tensor } from "../../core/index.ts";
import type { Engine, Held, Session } from "../../engine/portable.ts";
import { hashText } from "../../files/portable.ts";
import { tableInputs, tableRows } from "../../model/index.ts";

/** Where a parameter lies. */
export interface Block {
  /** Its first row. */
  readonly start: number;
  /** Of its numbers. */
  readonly hash: string;
  readonly bytes: number;
  /** Gives the rows back once nobody has them. */
  release(): void;
}

interface Stored extends Pick<Block, "start" | "hash" | "bytes"> {
  readonly rows: number;
  owners: number;
  readonly written: Promise<void>;
}

const bytesPerNumber = 4;
/** Rows that are taken at first for a budget; memory is spent on those alone that something was written to. */
const mostReserved = 2 ** 30;

/**
 * The parameters of all adapters in one tensor of the engine, `[N, U]`, each in rows of its own; equal ones once.
 * Legend: N rows, U their width.
 */
export class ParameterTable implements AsyncDisposable {
  readonly width: number;
  readonly #held: Held;
  readonly #reserved: number;
  readonly #stored = new Map<string, Stored>();
  /** Stretches that are free below the end, ascending. */
  #free: { start: number; rows: number }[] = [];
  #end = 0;
  #capacity = 1;
  /** Ends when there are as many rows as that. */
  #room: Promise<void> = Promise.resolve();
  #bytes = 0;
  #layout = 0;

  private constructor(held: Held, width: number, maxBytes: number) {
    this.#held = held;
    this.width = width;
    this.#reserved = Math.ceil(Math.min(maxBytes, mostReserved) / (bytesPerNumber * width));
  }

  /** @param maxBytes for how many numbers there is room at first */
  static async open(engine: Engine, width: number, maxBytes: number): Promise<ParameterTable> {
    const first: Tensor = { dtype: "float32", shape: [1, width], data: new Float32Array(width) };
    return new ParameterTable(await engine.hold({ [tableInputs.table]: first }), width, maxBytes);
  }

  /** Of everything that is stored, what several have counted once. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Changes where sessions must bind the table again. */
  get layout(): number {
    return this.#layout;
  }

  bind(session: Session): Promise<void> {
    return session.bind(this.#held);
  }

  /**
   * Stores a parameter, or finds it.
   * @throws ENGINE_FAILED if there is no memory for it
   */
  async put(tensor: Tensor): Promise<Block> {
    const numbers = tensor.data as Float32Array;
    const hash = hashText(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
    const stored = this.#stored.get(hash) ?? this.#store(hash, tensor.shape, numbers);
    stored.owners++;
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      stored.owners--;
      if (stored.owners === 0) this.#drop(stored);
    };
    try {
      await stored.written;
    } catch (error) {
      release();
      throw error;
    }
    const { start, bytes } = stored;
    return { start, hash, bytes, release };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#held.release();
  }

  #store(hash: string, shape: readonly number[], numbers: Float32Array): Stored {
    const rows = tableRows({ shape }, this.width);
    const start = this.#take(rows);
    const bytes = rows * this.width * bytesPerNumber;
    const room = this.#end > this.#capacity ? this.#grow() : this.#room.catch(() => {});
    const data = numbers.slice();
    const written = room.then(() => this.#held.write(tableInputs.table, start * this.width, data));
    // Who stores it waits for it; nobody else has to.
    written.catch(() => {});
    const stored: Stored = { start, rows, hash, bytes, owners: 0, written };
    this.#stored.set(hash, stored);
    this.#bytes += bytes;
    return stored;
  }

  #grow(): Promise<void> {
    const before = this.#capacity;
    this.#capacity = Math.max(this.#end, this.#reserved, 2 * before);
    this.#room = this.#held.grow(tableInputs.table, this.#capacity).then(
      () => {
        this.#layout++;
      },
      (error: unknown) => {
        this.#capacity = before;
        throw error;
      },
    );
    return this.#room;
  }

  /** The first free stretch that is long enough, or new rows at the end. */
  #take(rows: number): number {
    const at = this.#free.findIndex((stretch) => stretch.rows >= rows);
    if (at < 0) {
      this.#end += rows;
      return this.#end - rows;
    }
    const stretch = this.#free[at]!;
    const { start } = stretch;
    if (stretch.rows === rows) this.#free.splice(at, 1);
    else this.#free[at] = { start: start + rows, rows: stretch.rows - rows };
    return start;
  }

  #drop({ hash, start, rows, bytes }: Stored): void {
    this.#stored.delete(hash);
    this.#bytes -= bytes;
    const at = this.#free.findIndex((stretch) => stretch.start > start);
    this.#free.splice(at < 0 ? this.#free.length : at, 0, { start, rows });
    const joined: { start: number; rows: number }[] = [];
    for (const stretch of this.#free) {
      const last = joined.at(-1);
      if (last && last.start + last.rows === stretch.start) last.rows += stretch.rows;
      else joined.push({ ...stretch });
    }
    const last = joined.at(-1);
    if (last && last.start + last.rows === this.#end) {
      this.#end = last.start;
      joined.pop();
    }
    this.#free = joined;
  }
}
