import type { Method, MethodDefaults } from "./method.ts";

/** What suits a method beside heads; where several share it, what differs for some of them is left out. */
export function methodDefaults(
  { defaults, perPositionDefaults }: Method,
  heads: readonly { readonly perPosition?: boolean }[],
): MethodDefaults {
  return heads.every(({ perPosition }) => perPosition) ? { ...defaults, ...perPositionDefaults } : defaults;
}
