/**
 * Made-up secrets of every kind that is known by its form. They are put together here, so that no scanner of source code
 * takes them for real ones.
 */

/** Letters and digits as a generator of tokens draws them. */
const drawn = "aB3xQ9zL0pW7mN2cV5kJ8hG4fD1sR6tYbEuOiPqZlXwCvMnAaKjHsGdF7tRe2WqYxU9iOp4LmZ";
const of = (length: number): string => drawn.repeat(5).slice(0, length);
const hex = (length: number): string => "3f9a1c07be52d8e46ab0".repeat(5).slice(0, length);

export const secrets: Readonly<Record<string, string>> = {
  "Hugging Face": `hf_${of(34)}`,
  "Hugging Face organisation": `api_org_${of(34)}`,
  "GitHub classic": `ghp_${of(36)}`,
  "GitHub OAuth": `gho_${of(36)}`,
  "GitHub fine-grained": `github_pat_${of(22)}_${of(59)}`,
  GitLab: `glpat-${of(20)}`,
  OpenAI: `sk-${of(48)}`,
  "OpenAI project": `sk-proj-${of(40)}_${of(33)}-${of(50)}`,
  Anthropic: `sk-ant-api03-${of(50)}-${of(40)}AA`,
  Groq: `gsk_${of(52)}`,
  AWS: `AKIA${"QZ7XN4TBW2KD9RMH".slice(0, 16)}`,
  "AWS secret": `aws_secret_access_key=${of(20)}/${of(19)}`,
  Google: `AIza${of(35)}`,
  Slack: `xoxb-2048100213-204810021377-${of(24)}`,
  "Slack address": `https://hooks.slack.com/services/T00A1B2C3/B00D4E5F6/${of(24)}`,
  Stripe: `sk_live_${of(24)}`,
  npm: `npm_${of(36)}`,
  PyPI: `pypi-AgEIcHlwaS5vcmc${of(60)}`,
  SendGrid: `SG.${of(22)}.${of(43)}`,
  DigitalOcean: `dop_v1_${hex(64)}`,
  Telegram: `1234567890:AA${of(33)}`,
  JWT: `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0${of(20)}.${of(43)}`,
  Bearer: `Authorization: Bearer ${of(40)}`,
  "password in an address": "https://someone:correct-horse@example.org/models",
  "password of Redis": "redis://:correct-horse-battery@10.0.0.1:6379",
  "token in an address": `https://${of(40)}@example.org/models`,
  "private key": `-----BEGIN RSA PRIVATE KEY-----\n${of(64)}\n${of(64)}\n-----END RSA PRIVATE KEY-----`,
};

/** The part of each that must not be found anywhere: without what may stand before it. */
export const cores: readonly string[] = Object.values(secrets).map((secret) =>
  secret
    .replace(/^Authorization: Bearer |^aws_secret_access_key=|^https:\/\/hooks\.slack\.com\/services\//, "")
    .replace(/^\w+:\/\/(.*)@.*$/, "$1")
    .replace(/^-----BEGIN[^\n]*\n([^\n]*)[\s\S]*$/, "$1"),
);

/** Names that people give to files and folders, and that are no secrets. */
export const innocent: readonly string[] = [
  "hf_datasets",
  "hf_datasetscopy",
  "hf_abcdefghijkl",
  "hf_internal_testing_tiny_random_bert_model_for_sequence_classification",
  "api_documents_2024",
  "api-documentation-set",
  "api_org_charts_of_all_departments",
  "sk-learn-examples-2024",
  "sk-proj-examples2024-classification-of-news-and-more",
  "sk-ant-colony-optimization-experiments2024",
  "sk_test_suite_for_classification",
  "ghp_results_of_the_last_experiment",
  "gho_something_long_enough_to_look_odd",
  "github_pat_tokens_explained",
  "xoxo-gossip",
  "token=short",
  "secret-santa-letters",
  "password-reset-mails-2023-2024",
  "bearer-of-bad-news-internationalized",
  "npm_packages_and_their_descriptions",
  "http://localhost:8080/path",
  "ssh://git@example.org/repository",
  "https://example.org:8080/?mail=someone@example.org",
  "2024-11-30T10:48:01Z",
  "sha256:3f9a1c07be52d8e46ab03f9a1c07be52d8e46ab03f9a1c07be52d8e46ab03f9a",
  "(?<label>\\w+)://(?<text>.*)",
];
