export function tinyExamples(
  count: number,
  seed: number,
): { readonly text: string; readonly label: string }[];
export function tinyCsv(count: number, seed: number): string;
