import { parse } from "yaml";
import { messageOf, PtuningError } from "../core/index.ts";

/**
 * A value as YAML has it, so that numbers are numbers.
 * @param given all that stood behind the flag, for the message
 * @throws OPTION_INVALID if it is none
 */
export function yamlValue(flag: string, value: string, given: string): unknown {
  try {
    return parse(value);
  } catch (cause) {
    const [reason] = messageOf(cause).split("\n");
    throw new PtuningError("OPTION_INVALID", `${flag} ${given}: expected values as in YAML: ${reason}`, {
      hint: "Put texts with brackets, colons or commas in quotes.",
      cause,
    });
  }
}
