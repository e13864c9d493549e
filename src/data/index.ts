export type { Dataset, TextExample } from "./example.ts";
