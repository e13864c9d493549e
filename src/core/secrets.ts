/**
 * Secrets that can be told by their form: tokens of hubs, forges, clouds and model providers, private keys, and
 * passwords inside addresses. Only exact forms: `hf_datasets` is a folder, `hf_` and 34 letters or digits is a token.
 */

interface Shape {
  /** For messages: "a GitHub token". */
  readonly kind: string;
  /** Groups: what stands before, the secret, what stands behind. All repetitions are bounded or begin at a border. */
  readonly pattern: RegExp;
  /** Whether its characters must look drawn, as words can have the form too. */
  readonly drawn?: true;
}

/** A token that begins as nothing else does. */
function token(kind: string, form: string, drawn?: true): Shape {
  const pattern = new RegExp(`()((?<![A-Za-z0-9])(?:${form})(?![A-Za-z0-9]))()`, "g");
  return { kind, pattern, ...(drawn && { drawn }) };
}

const word = "[A-Za-z0-9]";
const keyNames =
  "passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|account[_-]?key|secret[_-]?key|credentials?|(?<![A-Za-z])sig";

const shapes: readonly Shape[] = [
  {
    kind: "a private key",
    pattern:
      /()(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[\w+/=\s\\:;,.()-]{0,20000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\]{0,20000}))()/g,
  },
  {
    kind: "an address with a password",
    pattern: /((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}:\/\/)([^\s/@:?#"'<>]{0,200}:[^\s/?#"'<>]{1,500})(@)/gi,
  },
  {
    kind: "an address with a token",
    pattern: /((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}:\/\/)([^\s/@:?#"'<>]{16,500})(@)/gi,
    drawn: true,
  },
  token("a Hugging Face token", `(?:hf|api_org)_${word}{34}`),
  token("a GitHub token", `gh[oprsu]_${word}{36,251}|github_pat_\\w{22,255}`),
  token("a GitLab token", "gl(?:pat|dt|rt|ptt|soat)-[\\w-]{20,64}", true),
  token("an OpenAI key", `sk-${word}{48}|sk-(?:proj|svcacct|admin|None)-[\\w-]{20,300}`, true),
  token("an Anthropic key", "sk-ant-[\\w-]{20,300}", true),
  token(
    "an API key",
    `sk-(?:or-v1-)?[0-9a-f]{32,64}|(?:gsk|nvapi|xai|pplx|r8|fw|tgp_v1|csk)[_-]${word}{32,100}`,
  ),
  token("an AWS key", "(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
  token("a Google key", `AIza[\\w-]{35}|GOCSPX-[\\w-]{28}|ya29\\.[\\w-]{20,1000}`),
  token("a Slack token", "xox[abceoprs](?:\\.xox[bp])?-[\\w-]{10,500}|xapp-\\d-[\\w-]{10,500}", true),
  {
    kind: "a Slack address",
    pattern: /(hooks\.slack\.com\/(?:services|workflows|triggers)\/)([\w/+-]{20,200})()/g,
  },
  token("a Stripe key", `(?:sk|rk|pk)_(?:live|test)_${word}{16,250}|whsec_[\\w+/]{24,100}`),
  token("an npm token", `npm_${word}{36}`),
  token("a PyPI token", "pypi-[\\w-]{50,1000}"),
  token("a SendGrid key", "SG\\.[\\w-]{16,32}\\.[\\w-]{16,64}"),
  token(
    "a cloud token",
    "(?:dop|doo|dor)_v1_[0-9a-f]{64}|dapi[0-9a-f]{32}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
  ),
  token("a Telegram token", "\\d{8,10}:AA[\\w-]{33}"),
  token("a Discord token", "[MNO][\\w-]{23,27}\\.[\\w-]{6}\\.[\\w-]{27,40}", true),
  {
    kind: "a signed token",
    pattern: /()((?<![\w-])eyJ[\w-]{10,4000}\.eyJ[\w-]{4,8000}(?:\.[\w-]{0,2000})?)()/g,
  },
  {
    kind: "an authorization header",
    pattern: /((?<!\w)(?:bearer|basic)\s{1,3})([\w.~+/=-]{16,4000})()/gi,
    drawn: true,
  },
  {
    kind: "a password",
    pattern: new RegExp(`((?:${keyNames})["']?\\s{0,3}[=:]\\s{0,3}["']?)([^\\s"'&<>]{12,500})()`, "gi"),
    drawn: true,
  },
];

/** What stands in the place of a secret. */
const stars = "***";

/** What kind of secret a text holds, with its article: "a GitHub token"; nothing where it holds none. */
export function secretIn(text: string): string | undefined {
  for (const { kind, pattern, drawn } of shapes) {
    for (const [, , secret] of text.matchAll(pattern)) if (!drawn || looksDrawn(secret!)) return kind;
  }
  return undefined;
}

/** A text with `***` in the place of every secret that can be told by its form. */
export function hideSecrets(text: string): string {
  let hidden = text;
  for (const { pattern, drawn } of shapes) {
    hidden = hidden.replace(pattern, (whole, before: string, secret: string, behind: string) =>
      !drawn || looksDrawn(secret) ? `${before}${stars}${behind}` : whole,
    );
  }
  return hidden;
}

/** A long run without a break, or a change of kind of character at every fourth: words have neither. */
function looksDrawn(text: string): boolean {
  if (/[A-Za-z0-9]{24}/.test(text)) return true;
  let changes = 0;
  for (let i = 1; i < text.length; i++) {
    const [a, b] = [kindOf(text[i - 1]!), kindOf(text[i]!)];
    // A capital begins a word.
    if (a !== undefined && b !== undefined && a !== b && !(a === "upper" && b === "lower")) changes++;
  }
  return changes / text.length > 0.2;
}

function kindOf(character: string): "upper" | "lower" | "digit" | undefined {
  if (character >= "a" && character <= "z") return "lower";
  if (character >= "A" && character <= "Z") return "upper";
  return character >= "0" && character <= "9" ? "digit" : undefined;
}

/** A place in a value: its keys, and which of them holds a secret. */
interface FoundSecret {
  readonly path: readonly PropertyKey[];
  readonly kind: string;
  /** The last key is itself the secret: it must not be shown. */
  readonly inKey: boolean;
}

/** The first secret among the texts and keys of a value of plain objects and lists. */
export function findSecret(value: unknown, path: readonly PropertyKey[] = []): FoundSecret | undefined {
  if (typeof value === "string") {
    const kind = secretIn(value);
    return kind === undefined ? undefined : { path, kind, inKey: false };
  }
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const kind = Array.isArray(value) ? undefined : secretIn(key);
    if (kind !== undefined) return { path: [...path, key], kind, inKey: true };
    const found = findSecret(inner, [...path, Array.isArray(value) ? Number(key) : key]);
    if (found !== undefined) return found;
  }
  return undefined;
}
