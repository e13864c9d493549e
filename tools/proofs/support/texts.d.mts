export const oddTexts: readonly string[];
export function everyText(folder: string): string[];
export function cover(text: string, start: number, end: number): [start: number, end: number];
