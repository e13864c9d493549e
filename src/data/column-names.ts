/** What the names of columns say, in data sets seen in the wild. */

const labelWords =
  "labels?|class(?:es)?|categor(?:y|ies)|intents?|sentiment|target|gold|polarity|emotions?|topics?";

/** A column of labels. */
export const labelNames: RegExp = new RegExp(
  `^(?:${labelWords}|(?:.+[_ .])labels?|(?:${labelWords})[_ .]?(?:name|text|str|index|idx|id|no)|y|type|tags|entailment_judgment)$`,
  "i",
);

/** The plainest names of a column of labels: nothing else is taken where one is there. */
export const plainLabelNames: RegExp = /^(?:(?:gold[_ ])?labels?|class|target)$/i;

/** Columns that may hold several labels in a cell. */
export const pluralNames: RegExp =
  /^(?:labels|classes|categories|intents|emotions|topics|tags|genres|keywords)$/i;

/** The right one of several choices. */
export const answerNames: RegExp =
  /^(?:answers?|answer[_ ]?(?:key|idx|index|id|no|num|number)|correct(?:[_ ]?(?:answer|option|choice|idx|index))?|right|solution|gold)$/i;

/** A column of texts. */
export const textNames: RegExp =
  /^(?:texts?|sentences?|premise|hypothesis|question|passage|title|description|message|utterance|content|review|sms|tweet|query|body|(?:comment|review|message|tweet|post|news|article)[_ ](?:text|body)|comment|headline|abstract|document|claim|evidence|(?:text|sentence|sent|question|phrase|string)[_ ]?[12ab])$/i;

export const scoreNames: RegExp =
  /^(?:.*[_ ])?(?:score|similarity|relatedness|rating|stars)$|^relatedness_score$/i;
export const wordNames: RegExp = /^(?:tokens|words)$/i;
export const choiceNames: RegExp =
  /^(?:(?:choice|choices|alternative|alternatives|ending|option|options)[ _]?\d*|(?:choice|alternative|ending|option|opt|answer|candidate)[ _]?(?:\d+|[a-h]))$/i;

/** Parts of a data set, names of rows, times and places: never what is learnt. */
export const neverNames: RegExp =
  /^(?:split|subset|fold|folds|partition|set|(?:is|in)[_ ]?(?:train|dev|val|valid|test)\w*|ids?|idx|index|uid|uuid|guid|.*[_ .#]ids?|.*[a-z]ID\d*|(?:q|p|s|pair|doc|user|sent|text|msg)ids?\d*|ids?[_ ].*|unnamed: \d+|row|line|rownum|no|nr|num|number|urls?|links?|uri|href|(?:.*[_ ])?(?:date|time|timestamp|datetime)|created(?:[_ ]at)?|updated(?:[_ ]at)?|hash|md5|sha\d*|file|filename|file[_ ]?(?:name|path)|path)$/i;

/** Where a row comes from and how sure someone was: learnt only where there is nothing else. */
export const lastNames: RegExp =
  /^(?:lang|language|locale|source|src|origin|domain|dataset|corpus|author|users?|user[_ ]?name|annotators?|workers?|year|month|day|version|platform|device|country|confidence|weight|agreement|probability|votes?|length|(?:.*[_ ])(?:confidence|count|length|votes))$/i;

/** Said about a text, not read with it. */
export const asideNames: RegExp =
  /^(?:notes?|explanations?|rationales?|reasons?|remarks?|translations?|comments?|summar(?:y|ies)|.*[_ ](?:notes?|explanation|rationale|parse|translation))$/i;

/** Where two texts are read together, and which of them is the first. */
const partners: readonly (readonly [RegExp, RegExp])[] = [
  [/^(?:left|lhs|first|source|src|original|anchor)/i, /^(?:right|rhs|second|target|tgt|paraphrase|other)/i],
  [/^premise$/i, /^(?:hypothesis|hypo|conclusion)$/i],
  [
    /^(?:question|query|q)$/i,
    /^(?:sentence|answer|passage|document|doc|context|text|response|paragraph|title|a)$/i,
  ],
  [
    /^(?:text|context|claim|headline|title|subject|post|utterance|statement|prompt)$/i,
    /^(?:hypothesis|response|reply|evidence|body|text|content|article|description|abstract|selftext|completion)$/i,
  ],
];

/** Whether two columns are the two texts of a pair by their names, the first in front. */
export function isNamedPair(first: string, second: string): boolean {
  return (
    differBySide(first, second) || partners.some(([one, other]) => one.test(first) && other.test(second))
  );
}

const sides: ReadonlyMap<string, string> = new Map([
  ["1", "2"],
  ["0", "1"],
  ["a", "b"],
  ["i", "ii"],
  ["one", "two"],
  ["first", "second"],
  ["left", "right"],
  ["l", "r"],
  ["lhs", "rhs"],
  ["x", "y"],
]);

/** `s1` and `s2`, `text_a` and `text_b`, `sentenceA` and `sentenceB`, `#1 String` and `#2 String`. */
function differBySide(first: string, second: string): boolean {
  const [one, other] = [wordsOf(first), wordsOf(second)];
  if (one.length === other.length && one.length > 0) {
    const differing = one.flatMap((word, i) => (word === other[i] ? [] : [i]));
    const at = differing[0];
    if (differing.length === 1 && sides.get(one[at!]!) === other[at!] && one.length > 1) return true;
  }
  const stem = first.toLowerCase().slice(0, -1);
  return (
    stem.length > 2 &&
    stem === second.toLowerCase().slice(0, -1) &&
    sides.get(first.at(-1)!.toLowerCase()) === second.at(-1)!.toLowerCase()
  );
}

function wordsOf(name: string): string[] {
  return (name.replace(/([a-z])([A-Z])/g, "$1 $2").match(/\p{L}+|\d+/gu) ?? []).map((word) =>
    word.toLowerCase(),
  );
}
