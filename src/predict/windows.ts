/** Examples of the first window, so that the first answers come at once; each further one has four times as many. */
const firstExamples = 32;
/** Examples of a window at most: enough that texts of like length meet, few enough that memory stays flat. */
const mostExamples = 2048;
/** Characters of a window at most, unless one example has more. */
const mostCharacters = 1 << 22;

/**
 * Cuts a stream of examples into windows that are answered one after another.
 * @param charactersOf how much text an example has
 * @param isWhole all examples in one window
 */
export async function* windowsOf<E>(
  examples: Iterable<E> | AsyncIterable<E>,
  charactersOf: (example: E) => number,
  isWhole: boolean,
): AsyncGenerator<E[]> {
  let [window, characters, most]: [E[], number, number] = [[], 0, firstExamples];
  for await (const example of examples) {
    const own = charactersOf(example);
    const isFull = window.length >= most || characters + own > mostCharacters;
    if (!isWhole && window.length > 0 && isFull) {
      yield window;
      [window, characters, most] = [[], 0, Math.min(4 * most, mostExamples)];
    }
    window.push(example);
    characters += own;
  }
  if (window.length > 0) yield window;
}
