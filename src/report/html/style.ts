/** Of curves that stand in one figure, in their order; the first is that of figures with one. */
export const curveColors = [
  "var(--c1)",
  "var(--c2)",
  "var(--c3)",
  "var(--c4)",
  "var(--c5)",
  "var(--c6)",
  "var(--c7)",
  "var(--c8)",
] as const;

/** Colours of pages and figures, light or dark as the reader's system is. */
export const colorRules = `
:root {
  --paper: #fbfbfa; --panel: #ffffff; --ink: #1c1f24; --muted: #5f6772; --line: #e3e4e1;
  --c1: #2f5fd0; --c2: #d0611a; --c3: #1f8a5b; --c4: #8b4fbf; --c5: #b8336a; --c6: #7b7a12; --c7: #16869c; --c8: #7d5a45;
  --bad: #b3261e; --bad-soft: #fbe9e7; --warn: #8a5a00; --warn-soft: #fdf1d8; --info-soft: #e9effb; --good: #1a7a4f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c; --panel: #1b1f26; --ink: #e7e9ec; --muted: #9aa3af; --line: #2e343d;
    --c1: #86a8ff; --c2: #f0975a; --c3: #5cc997; --c4: #c49bf0; --c5: #f07fae; --c6: #cfcb5a; --c7: #5cc3da; --c8: #c9a58c;
    --bad: #ff9a91; --bad-soft: #3c2020; --warn: #eec06a; --warn-soft: #362b14; --info-soft: #1f2a42; --good: #5cc997;
  }
}`;

/** What the system has, without serifs. */
export const fontFamily =
  'system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif';

/** The style of reports: one column of sections, light or dark as the reader's system is, from 360 px on. */
export const styleSheet: string = `${colorRules}
*, ::before, ::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 ${fontFamily};
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0; letter-spacing: -0.015em; }
h2 {
  font-size: 1.2rem; line-height: 1.3; margin: 3rem 0 1rem; padding-top: 1rem; border-top: 1px solid var(--line);
}
h3 { font-size: 0.95rem; margin: 1.75rem 0 0.6rem; }
p { margin: 0.5rem 0; max-width: 44rem; }
.muted, .place { color: var(--muted); font-size: 0.875rem; }
header p { margin: 0.35rem 0 0; color: var(--muted); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.75rem; margin: 1.5rem 0 0; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 0.6rem; padding: 0.75rem 0.9rem; }
.tile dt { color: var(--muted); font-size: 0.8125rem; }
.tile dd { margin: 0.1rem 0 0; font-size: 1.35rem; font-weight: 600; line-height: 1.25; letter-spacing: -0.01em; }
.tile dd small { display: block; font-size: 0.8125rem; font-weight: 400; color: var(--muted); letter-spacing: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: 0; background: var(--panel); border: 1px solid var(--line); border-radius: 0.6rem; padding: 0.9rem 1rem 0.75rem; min-width: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 0.15rem 1rem; align-items: baseline; margin-bottom: 0.6rem; font-size: 0.875rem; }
figcaption b { font-weight: 600; margin-right: auto; }
.key { color: var(--muted); font-size: 0.8125rem; white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: 0.9rem; height: 0.2rem; border-radius: 0.1rem; background: var(--key); margin-right: 0.4rem; vertical-align: 0.22em; }
.plot { display: block; width: 100%; height: auto; color: var(--muted); overflow: visible; }
.plot text { white-space: pre; }
.plot.natural { width: auto; max-width: 100%; margin: 0 auto; }
.plot.wide { width: auto; max-width: none; margin: 0 auto; }
.scroll { overflow-x: auto; max-width: 100%; }
.tall { max-height: 30rem; overflow: auto; }
table { border-collapse: collapse; font-size: 0.9rem; min-width: 100%; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 0.6rem; padding: 0.35rem 1rem; }
th, td { overflow-wrap: break-word; text-align: left; padding: 0.42rem 1.25rem 0.42rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--muted); font-weight: 500; font-size: 0.8125rem; white-space: nowrap; position: sticky; top: 0; background: var(--panel); }
tbody th { font-weight: 500; }
.number { text-align: right; white-space: nowrap; }
.value { overflow-wrap: anywhere; }
.strong > * { font-weight: 600; }
.track { display: inline-block; width: 3rem; height: 0.3rem; border-radius: 0.15rem; margin-right: 0.6rem; vertical-align: 0.12em; background: linear-gradient(var(--c1), var(--c1)) no-repeat left / calc(var(--share) * 1%) 100% var(--line); }
.narrow { max-width: 32rem; }
.masonry { columns: 2 26rem; column-gap: 1rem; } .masonry > * { break-inside: avoid; padding-bottom: 1.25rem; }
.columns > .whole { grid-column: 1 / -1; }
.columns h3, .masonry h3 { margin: 0 0 0.6rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; align-items: start; }
.list { list-style: none; margin: 0; padding: 0; display: grid; gap: 0.6rem; }
.item { background: var(--panel); border: 1px solid var(--line); border-radius: 0.6rem; padding: 0.7rem 1rem 0.8rem; }
.item p { margin: 0.3rem 0 0; white-space: pre-wrap; max-width: none; }
.item .name { color: var(--muted); font-size: 0.8125rem; margin-right: 0.5rem; }
.line { display: flex; flex-wrap: wrap; gap: 0.25rem 0.8rem; align-items: baseline; font-size: 0.875rem; }
.line .place { margin-left: auto; }
.gold { color: var(--good); font-weight: 600; } .wrong { color: var(--bad); font-weight: 600; }
.badge { border-radius: 0.3rem; padding: 0.05rem 0.45rem; font-size: 0.75rem; font-weight: 600; background: var(--info-soft); color: var(--c1); }
.badge.error { background: var(--bad-soft); color: var(--bad); } .badge.warning { background: var(--warn-soft); color: var(--warn); }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--muted); font-size: 0.8125rem; }
@media (max-width: 30rem) {
  body { padding: 1.5rem 1rem 3rem; } h1 { font-size: 1.4rem; } h2 { margin-top: 2.25rem; }
  .plot:not(.natural, .wide) { font-size: 15px !important; }
  .tiles { grid-template-columns: 1fr 1fr; } .tile dd { font-size: 1.15rem; }
  figure { padding: 0.75rem 0.75rem 0.6rem; } .panel { padding: 0.25rem 0.75rem; } th, td { padding-right: 0.8rem; } .track { display: none; }
}
@media print { body { max-width: none; } .tall { max-height: none; } figure, .item, tr { break-inside: avoid; } }
`;
