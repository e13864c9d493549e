/** Version of this package; a test holds it to package.json. */
export function packageVersion(): string {
  return "0.1.0";
}

/** What a result was made with: this package, and Node where it is there. */
export function versions(): Readonly<Record<string, string>> {
  const node = globalThis.process?.versions?.node;
  return { ptuning: packageVersion(), ...(node !== undefined && { node }) };
}
