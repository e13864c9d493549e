import type { GridRow } from "./plan.mjs";

export function readRows(path: string): GridRow[];
export function appendRow(path: string, row: GridRow): Promise<void>;
