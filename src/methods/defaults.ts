import type { Method, MethodDefaults } from "./method.ts";

/** What methods ask of a head. */
export interface HeadKind {
  /** Whether it answers for each position by itself. */
  readonly perPosition?: boolean;
}

/** What suits a method beside heads; where several share it, what differs for some of them is left out. */
export function methodDefaults(
  { defaults, perPositionDefaults }: Method,
  heads: readonly HeadKind[],
): MethodDefaults {
  return heads.every(({ perPosition }) => perPosition) ? { ...defaults, ...perPositionDefaults } : defaults;
}
