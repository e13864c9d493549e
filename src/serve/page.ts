import { createHash } from "node:crypto";

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 52rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input, select, textarea { width: 100%; box-sizing: border-box; font: inherit; padding: .5rem; border: 1px solid #8888; border-radius: .4rem; background: Canvas; color: CanvasText; }
textarea { font-family: ui-monospace, monospace; font-size: .9rem; min-height: 8rem; }
button { font: inherit; margin-top: 1rem; padding: .5rem 1.5rem; border: 0; border-radius: .4rem; background: #2456c9; color: #fff; cursor: pointer; }
button:disabled { opacity: .5; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 1rem; border-radius: .4rem; background: #8882; min-height: 2rem; }
p { margin: .25rem 0; } .quiet { opacity: .75; font-size: .9rem; } .bad { color: #c22; }
`;

const script = `
const at = (id) => document.getElementById(id);
const examples = {
  text: "It rains in the valley.",
  pair: { text: "It rains.", text_pair: "It is wet." },
  "question-answering": { question: "Where does it rain?", context: "It rains in the valley." },
  "multiple-choice": { text: "It rains.", choices: ["Take an umbrella.", "Water the garden."] },
  "semantic-roles": { words: ["Ann", "reads", "books"], predicate: 1 },
  "candidate-ranking": [{ text: "Who reads?", text_pair: "Ann" }, { text: "Who reads?", text_pair: "Bob" }],
};
let models = [];
const ask = async (path, body) => {
  const headers = {};
  if (at("key").value) headers.authorization = "Bearer " + at("key").value;
  if (body) headers["content-type"] = "application/json";
  const begun = performance.now();
  const response = await fetch(path, body ? { method: "POST", headers, body } : { headers });
  const answer = await response.json();
  return { ok: response.ok, status: response.status, answer, ms: performance.now() - begun };
};
const show = (text, bad) => { at("answer").textContent = text; at("answer").className = bad ? "bad" : ""; };
const chosen = () => models.find(({ id }) => id === at("model").value);
const describe = () => {
  const model = chosen();
  const parts = model ? [model.task || "not read yet", model.labels && model.labels.length ? model.labels.slice(0, 12).join(", ") : "", model.error || ""] : [];
  at("about").textContent = parts.filter(Boolean).join(" · ");
  at("body").value = JSON.stringify({ inputs: examples[model && model.task] || examples.text }, null, 2);
};
const list = async () => {
  try {
    const { ok, answer } = await ask("v1/models");
    if (!ok) return show(answer.error + (answer.hint ? "\\n" + answer.hint : ""), true);
    models = answer.data;
    at("model").replaceChildren(...models.map(({ id, state }) => new Option(state === "failed" ? id + " (failed)" : id, id)));
    show(models.length === 0 ? "No adapters." : "");
    describe();
  } catch (error) { show(String(error), true); }
};
at("key").addEventListener("change", list);
at("model").addEventListener("change", describe);
at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("send").disabled = true;
  try {
    const { ok, status, answer, ms } = await ask("models/" + encodeURIComponent(at("model").value), at("body").value);
    show((ok ? "" : status + " ") + JSON.stringify(answer, null, 2) + "\\n\\n" + Math.round(ms) + " ms", !ok);
  } catch (error) { show(String(error), true); }
  at("send").disabled = false;
});
list();
`;

const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** What the page may load: nothing but itself, and answers of its server. */
export const pagePolicy: string = [
  "default-src 'none'",
  `style-src ${hash(style)}`,
  `script-src ${hash(script)}`,
  "connect-src 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ");

/** A page to try a server, in one piece. */
export const page: string = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ptuning serve</title>
<style>${style}</style>
</head>
<body>
<h1>ptuning serve</h1>
<p class="quiet">Adapters on one backbone. Every route: <a href="openapi.json">openapi.json</a></p>
<form id="form">
<label for="key">Key</label>
<input id="key" type="password" autocomplete="off" placeholder="none, where the server asks for none">
<label for="model">Adapter</label>
<select id="model"></select>
<p id="about" class="quiet"></p>
<label for="body">Request</label>
<textarea id="body" spellcheck="false"></textarea>
<button id="send">Send</button>
</form>
<label for="answer">Answer</label>
<pre id="answer" aria-live="polite"></pre>
<script>${script}</script>
</body>
</html>
`;
