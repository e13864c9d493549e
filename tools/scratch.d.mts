/**
 * Makes an empty folder that goes when this process ends; what processes that were killed have left under the same name
 * goes now.
 */
export function scratch(name: string, within?: string): Promise<string>;
