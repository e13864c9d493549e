import { randomUUID } from "node:crypto";
import { styleText } from "node:util";
import { escapeControls, escapeLines, hideSecrets, jsonLine } from "../core/index.ts";
import type { TransferProgress } from "../files/index.ts";
import { formatBytes, formatCount, formatDuration } from "../report/index.ts";

/** Whether colours are wanted on a stream: NO_COLOR and FORCE_COLOR are honoured. */
function hasColor(stream: NodeJS.WriteStream): boolean {
  if (process.env.NO_COLOR) return false;
  return Boolean(process.env.FORCE_COLOR) || (stream.isTTY && process.env.TERM !== "dumb");
}

type Style = Parameters<typeof styleText>[0];

/**
 * Stands for the escape character of our own styles until a text is written. It is drawn anew in each process, so that no
 * text of others can hold it.
 */
const styleMark = `\ue000${randomUUID()}`;

/** A styled text for standard output, plain where it is no terminal. Only what this file writes may hold it. */
export function style(format: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  if (!hasColor(stream)) return text;
  return styleText(format, escapeLines(text), { validateStream: false }).replaceAll("\u001b", styleMark);
}

/**
 * What goes to a terminal, wherever it came from: of all that a terminal would act on, only line ends, tabs and our own
 * styles are sent. Everything that is printed passes through here.
 */
export function forTerminal(text: string): string {
  return escapeLines(text).replaceAll(styleMark, "\u001b");
}

/** One line of results, or several. */
export function print(text = ""): void {
  process.stdout.write(`${forTerminal(text)}\n`);
}

/** A value as one line of JSON, for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${jsonLine(value)}\n`);
}

/** One line for people beside the results: notes, warnings, errors; logs keep it, so secrets in it are hidden. */
export function note(text: string): void {
  progressLine.clear();
  process.stderr.write(`${forTerminal(hideSecrets(text))}\n`);
}

export function warn(text: string): void {
  note(`${style("yellow", "warning:", process.stderr)} ${text}`);
}

/** What is said where texts were cut to the greatest length. */
export function cutMessage(cut: number, all: number, maxLength: number): string {
  const share = `${formatCount(cut)} of ${formatCount(all)} ${all === 1 ? "text" : "texts"}`;
  return `${share} cut to ${maxLength} tokens: what stands behind them was not seen.`;
}

/** The last line of a terminal, rewritten in place; silent where standard error is none. */
class ProgressLine {
  #shown = false;
  #last = 0;

  /** At most some twenty times a second. */
  update(text: string, force = false): void {
    if (!process.stderr.isTTY) return;
    const now = performance.now();
    if (!force && now - this.#last < 50) return;
    this.#last = now;
    this.#shown = true;
    const columns = process.stderr.columns || 80;
    process.stderr.write(`\r\u001b[2K${escapeControls(text).slice(0, columns - 1)}`);
  }

  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    process.stderr.write("\r\u001b[2K");
  }
}

export const progressLine: ProgressLine = new ProgressLine();

/** `██████░░░░` */
export function bar(done: number, total: number, width = 20): string {
  const filled = Math.round(width * Math.min(1, total === 0 ? 0 : done / total));
  return "█".repeat(filled) + "░".repeat(width - filled);
}

/** How often a piped log tells of progress. */
const plainIntervalMs = 10_000;

/** Shows downloads: a bar on a terminal, now and then a line elsewhere. */
export function downloadReporter(): (progress: TransferProgress) => void {
  let last = 0;
  let begun = { at: 0, doneBytes: 0, totalBytes: 0 };
  return ({ name, doneBytes, totalBytes }) => {
    const now = performance.now();
    // What was here already tells nothing of the rate, and another total is another piece of work.
    if (totalBytes !== begun.totalBytes) begun = { at: now, doneBytes, totalBytes };
    const rate = ((doneBytes - begun.doneBytes) / Math.max(now - begun.at, 1)) * 1000;
    const rest = rate > 0 ? `  ${formatDuration((totalBytes - doneBytes) / rate)} left` : "";
    const amount = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
    progressLine.update(`${bar(doneBytes, totalBytes)} ${amount}  ${formatBytes(rate)}/s${rest}  ${name}`);
    if (doneBytes >= totalBytes) progressLine.clear();
    if (!process.stderr.isTTY && now - last > plainIntervalMs) {
      last = now;
      note(`fetching ${name}: ${amount}`);
    }
  };
}
