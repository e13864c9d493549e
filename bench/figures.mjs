/** Figures as SVG files, readable on a light and a dark page. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

const colors = ["#3b6fb6", "#d9822b", "#4c9a5b", "#a65aa6", "#8a8a8a", "#c0504d", "#2f9e9e"];

function svg(title, options) {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const drawing = Plot.plot({ document, style: { fontSize: "12px" }, ...options });
  drawing.querySelector("style")?.remove();
  drawing.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", title);
  const style = document.createElement("style");
  style.textContent =
    "svg { background: #fff; color: #444; } text { font-family: system-ui, sans-serif; } " +
    "@media (prefers-color-scheme: dark) { svg { background: #1a1a1a; color: #bbb; } }";
  drawing.append(style);
  return `${drawing}\n`;
}

/** A bar for each contender of each piece of work, as a share of the first contender's time. */
export function barFigure(title, rows) {
  const names = [...new Set(rows.map(({ name }) => name))];
  const works = [...new Set(rows.map(({ work }) => work))];
  return svg(title, {
    width: 640,
    height: 60 + works.length * (24 + 20 * names.length),
    marginLeft: 120,
    marginRight: 60,
    marginTop: 24,
    marginBottom: 40,
    x: { label: title, labelAnchor: "center", labelArrow: "none", grid: true },
    y: { domain: names, label: null, tickSize: 0 },
    fy: { domain: works, label: null, axis: null, padding: 0.25 },
    color: { domain: names, range: colors },
    marks: [
      Plot.barX(rows, { x: "value", y: "name", fy: "work", fill: "name" }),
      Plot.text(rows, {
        x: "value",
        y: "name",
        fy: "work",
        text: ({ value }) => value.toFixed(2),
        textAnchor: "start",
        dx: 4,
        fill: "currentColor",
      }),
      Plot.text(works, {
        fy: (work) => work,
        text: (work) => work,
        frameAnchor: "top-left",
        dy: -14,
        dx: -110,
      }),
      Plot.ruleX([0]),
    ],
  });
}

/** A curve for each contender, one panel per swept size; both axes logarithmic. */
export function curveFigure(title, rows) {
  const names = [...new Set(rows.map(({ name }) => name))];
  const panels = [...new Set(rows.map(({ panel }) => panel))];
  const columns = new Map(panels.map((panel, i) => [panel, i]));
  // The panels have sizes of their own on one axis each: places on it, from 0 to 1.
  const sizes = (panel) => [...new Set(rows.filter((row) => row.panel === panel).map(({ size }) => size))];
  const place = ({ panel, size }) => {
    const [least, most] = [Math.min(...sizes(panel)), Math.max(...sizes(panel))].map(Math.log2);
    return most === least ? 0 : (Math.log2(size) - least) / (most - least);
  };
  const placed = rows.map((row) => ({ ...row, x: place(row), column: columns.get(row.panel) }));
  const ticks = placed.filter(({ name }) => name === names[0]);
  const spot = { x: "x", fx: "column" };
  return svg(title, {
    width: 300 * panels.length,
    height: 280,
    marginLeft: 56,
    marginBottom: 44,
    marginTop: 34,
    x: { axis: null, domain: [-0.05, 1.05] },
    fx: { axis: null },
    y: { type: "log", label: title, grid: true, tickFormat: "~g" },
    color: { domain: names, range: colors, legend: false },
    marks: [
      Plot.lineY(placed, { ...spot, y: "seconds", stroke: "name", strokeWidth: 2 }),
      Plot.dot(placed, { ...spot, y: "seconds", fill: "name", r: 3 }),
      Plot.text(ticks, { ...spot, text: ({ size }) => String(size), frameAnchor: "bottom", dy: 16 }),
      Plot.text(panels, {
        fx: (panel) => columns.get(panel),
        text: (panel) => panel,
        frameAnchor: "bottom",
        dy: 34,
      }),
      ...names.map((name, i) =>
        Plot.text([name], { fx: () => 0, fill: () => name, frameAnchor: "top-left", dx: 6, dy: 15 * i }),
      ),
    ],
  });
}
