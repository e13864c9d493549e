export { checkData, type DataChecks } from "./check-data.ts";
export type { Finding, Place, Severity, SplitName } from "./finding.ts";
export type { LabelCount } from "./labels.ts";
export type { LengthLimits, Lengths, SplitLengths } from "./lengths.ts";
export type { Suggestions } from "./suggest.ts";
