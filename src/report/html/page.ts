import type { PlotOptions } from "@observablehq/plot";
import { escapeLines } from "../../core/index.ts";
import { colorRules, fontFamily, styleSheet } from "./style.ts";

/** An element of the page. */
export interface PageNode {
  append(...nodes: (PageNode | string)[]): void;
  setAttribute(name: string, value: string): void;
  querySelector(selector: string): (PageNode & { remove(): void }) | null;
}

/** What an element may hold; `undefined` is left out. Texts are texts, never markup. */
export type Child = PageNode | string | number | undefined | readonly Child[];

/** A page that is being written. */
export interface Page {
  /** Makes an element: `h("td", { class: "number" }, 12)`. */
  h(tag: string, attributes: Readonly<Record<string, string>>, ...children: readonly Child[]): PageNode;
  /** Draws a figure as SVG. */
  plot(options: PlotOptions): PageNode;
  /** The modules of the plotting library. */
  readonly Plot: typeof import("@observablehq/plot");
}

/** Nothing may be loaded or run, whatever gets into the page. */
const policy = "default-src 'none'; style-src 'unsafe-inline'";

const frame = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title></title>
<style>${styleSheet}</style>
</head>
<body></body>
</html>`;

/** An empty page; the libraries load on demand. */
async function openPage(): Promise<{
  page: Page;
  document: { body: PageNode; toString(): string };
  append(parent: PageNode, child: Child): void;
}> {
  const [{ parseHTML }, Plot] = await Promise.all([import("linkedom"), import("@observablehq/plot")]);
  const { document } = parseHTML(frame);
  const append = (parent: PageNode, child: Child): void => {
    if (Array.isArray(child)) for (const inner of child) append(parent, inner);
    else if (child !== undefined)
      parent.append(typeof child === "number" ? String(child) : (child as PageNode));
  };
  const page: Page = {
    Plot,
    h(tag, attributes, ...children) {
      const element: PageNode = document.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      append(element, children);
      return element;
    },
    plot(options) {
      const svg = Plot.plot({ document, className: "plot", ...options }) as PageNode;
      // Each figure brings the same style sheet along; the page has it once.
      svg.querySelector("style")?.remove();
      svg.setAttribute("role", "img");
      return svg;
    },
  };
  return { page, document, append };
}

/** Writes a page whose parts are elements, so that texts are escaped by construction. */
export async function writePage(title: string, content: (page: Page) => Child): Promise<string> {
  const { page, document, append } = await openPage();
  append(document.body, content(page));
  const html = document.toString().replace("<title></title>", () => `<title>${escaped(title)}</title>`);
  // What could turn the direction of a page around, or hide in it, is shown: in every text, wherever it came from.
  return `${escapeLines(html)}\n`;
}

/** The library writes what is in title elements and attributes as it is, but for quotes. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** Writes one figure as an SVG file of its own, on a panel, light or dark as the reader's system is. */
export async function writeDrawing(title: string, draw: (page: Page) => PageNode): Promise<string> {
  const { page } = await openPage();
  const svg = draw(page);
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  svg.setAttribute("aria-label", escaped(title));
  svg.setAttribute("color", "var(--muted)");
  const rules = `${colorRules}\nsvg { background: var(--panel); } text { font-family: ${fontFamily}; }`;
  svg.append(page.h("style", {}, rules));
  return `${escapeLines(`${svg}`)}\n`;
}
