export const referenceEnvironment: { readonly folder: string; readonly python: string };
export function referencePython(name?: string): string;
export function runReference(script: string, ...args: readonly string[]): Promise<string>;
