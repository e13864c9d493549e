import type { ReliabilityPlot } from "../../tasks/index.ts";
import { figureOptions } from "./curves.ts";
import type { Page, PageNode } from "./page.ts";
import { figure, scoreText } from "./parts.ts";

/** Radius of the bin with most answers; the area of a dot is its share of them. */
const greatestRadius = 11;
const leastRadius = 2;
const axis = { domain: [0, 1], grid: true, ticks: 5, tickSize: 0, labelArrow: "none" } as const;

/** Shares of right answers over the probabilities that they were given, with the line on which both are equal. */
export function reliabilityFigure(page: Page, { title, curves, note }: ReliabilityPlot): PageNode {
  const { Plot, h } = page;
  // The last, which is in use, is drawn over the others.
  const colors = curves.length === 1 ? ["var(--c1)"] : ["var(--c2)", "var(--c1)"];
  const marks = curves.flatMap(({ bins }, i) => {
    const points = bins.filter(({ count }) => count > 0);
    const most = Math.max(...points.map(({ count }) => count));
    const [x, y] = ["confidence", "accuracy"];
    const color = colors[i]!;
    return [
      Plot.line(points, { x, y, stroke: color, strokeWidth: 2 }),
      Plot.dot(points, {
        ...{ x, y, fill: color, fillOpacity: 0.4, stroke: color },
        r: ({ count }: { count: number }) => Math.max(leastRadius, greatestRadius * Math.sqrt(count / most)),
      }),
    ];
  });
  const drawing = page.plot({
    ...figureOptions,
    height: figureOptions.width!,
    x: { ...axis, label: "probability", labelAnchor: "center" },
    y: { ...axis, label: "share of right answers" },
    r: { type: "identity" },
    marks: [
      Plot.line(
        [0, 1].map((value) => [value, value]),
        { stroke: "var(--muted)", strokeDasharray: "3 3" },
      ),
      ...marks,
    ],
  });
  drawing.setAttribute("class", "plot natural");
  const key = Object.fromEntries(
    curves.map(({ temperature, ece }, i) => [
      `temperature ${Number(temperature.toPrecision(4))}: ECE ${scoreText(ece)}`,
      colors[i]!,
    ]),
  );
  return h(
    "div",
    {},
    h("h3", {}, title),
    figure(page, "Right answers over probability", drawing, key),
    note && h("p", { class: "muted" }, note),
  );
}
