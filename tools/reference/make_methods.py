"""Makes test/golden/methods/: golden states of every method in float64, on the tiny BERT of test/golden/bert.

For each case: trainable tensors that do not come from the checkpoint, logits, loss, every gradient, ten losses of
AdamW (clip 1.0, weight decay 0.01, linear decay); and ten steps of Adafactor on plain tensors, by transformers.
Run after make_bert.py: node tools/reference/run.mjs make_methods.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification
from transformers.optimization import Adafactor

from prefix_bert import PrefixBert

golden = Path(__file__).resolve().parents[2] / "test" / "golden"
target = golden / "methods"
target.mkdir(parents=True, exist_ok=True)
P, C, M = 3, 3, 6
config = BertConfig.from_pretrained(golden / "bert")
E = config.hidden_size
weights = {k.removeprefix("bert."): v.double() for k, v in load_file(golden / "bert" / "model.safetensors").items()}
manifest = json.loads((golden / "bert" / "golden.json").read_text())
ids, types, mask = (torch.tensor(manifest[key]) for key in ("inputIds", "tokenTypeIds", "attentionMask"))
labels = torch.tensor(manifest["labels"])


class MethodBert(PrefixBert):
    """BERT with prompts in front of the word embeddings, and with any weight replaced by a trainable tensor."""

    def __init__(self, pooling, double=False, pooled_row=None):
        super().__init__(weights, config, [], pooling, 0)
        self.double, self.pooled_row = double, pooled_row

    def embed(self, words, types):
        x = words + self.w["embeddings.position_embeddings.weight"][: words.shape[1]]
        return self.norm(x + self.w["embeddings.token_type_embeddings.weight"][types], "embeddings.LayerNorm")

    def logits(self, params, ids, types, mask):
        self.w = weights | {k.removeprefix("backbone."): v for k, v in params.items() if k.startswith("backbone.")}
        batch, length = ids.shape
        heads, width = config.num_attention_heads, config.hidden_size
        words = self.w["embeddings.word_embeddings.weight"][ids]
        prompt = input_prompt(params)
        count = 0 if prompt is None else prompt.shape[0]
        if self.double:
            words, types = self.embed(words, types), torch.zeros_like(types)
        if prompt is not None:
            words = torch.cat([prompt[None].expand(batch, -1, -1), words], 1)
            types = torch.cat([torch.zeros(batch, count, dtype=types.dtype), types], 1)
            columns = torch.cat([torch.ones(batch, count, dtype=mask.dtype), mask], 1)
        else:
            columns = mask
        x = self.embed(words, types)
        split = lambda t: t.view(batch, -1, heads, width // heads).transpose(1, 2)
        for layer in range(config.num_hidden_layers):
            name = f"encoder.layer.{layer}"
            q, k, v = (split(self.linear(x, f"{name}.attention.self.{part}")) for part in ("query", "key", "value"))
            scores = q @ k.transpose(-1, -2) / (width // heads) ** 0.5
            scores = scores.masked_fill(columns[:, None, None] == 0, -torch.inf)
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, -1, width)
            x = self.norm(self.linear(mixed, f"{name}.attention.output.dense") + x, f"{name}.attention.output.LayerNorm")
            wide = F.gelu(self.linear(x, f"{name}.intermediate.dense"))
            x = self.norm(self.linear(wide, f"{name}.output.dense") + x, f"{name}.output.LayerNorm")
        if self.pooling == "mean":
            share = mask.to(x.dtype)[:, :, None]
            pooled = (x[:, count:] * share).sum(1) / share.sum(1)
        else:
            pooled = x[:, count if self.pooled_row is None else self.pooled_row]
            if self.pooling == "pooler":
                pooled = torch.tanh(self.linear(pooled, "pooler.dense"))
        return F.linear(pooled, params["head.weight"], params["head.bias"])


def lstm_names(layer, direction):
    """Our names and torch's of one direction of one layer."""
    suffix = f"_l{layer}" + ("_reverse" if direction == "backward" else "")
    at = f"prompt.encoder.lstm.{layer}.{direction}"
    return {
        f"{at}.input.weight": f"weight_ih{suffix}", f"{at}.input.bias": f"bias_ih{suffix}",
        f"{at}.state.weight": f"weight_hh{suffix}", f"{at}.state.bias": f"bias_hh{suffix}",
    }


def input_prompt(params):
    """[P, E]; P-tuning's encoder by torch's own LSTM."""
    if "prompt.input" in params:
        return params["prompt.input"]
    if "prompt.encoder.embeddings" not in params:
        return None
    x = params["prompt.encoder.embeddings"]
    if "prompt.encoder.lstm.0.forward.input.weight" in params:
        width = params["prompt.encoder.lstm.0.forward.state.weight"].shape[1]
        lstm = torch.nn.LSTM(E, width, 2, bidirectional=True).double()
        theirs = {t: params[o] for layer in (0, 1) for d in ("forward", "backward") for o, t in lstm_names(layer, d).items()}
        x, _ = torch.func.functional_call(lstm, theirs, (x,))
    layers = sorted(k for k in params if k.startswith("prompt.encoder.mlp.") and k.endswith(".weight"))
    for i, name in enumerate(layers):
        x = F.linear(x, params[name], params[name.replace(".weight", ".bias")])
        x = torch.relu(x) if i + 1 < len(layers) else x
    return x


def encoder(draw, widths, lstm=None):
    """Parameters of a prompt encoder: embeddings, an LSTM of this width if any, linear layers of these widths."""
    params = {"prompt.encoder.embeddings": draw(P, E)}
    width = E
    if lstm:
        for layer in (0, 1):
            for direction in ("forward", "backward"):
                at = f"prompt.encoder.lstm.{layer}.{direction}"
                params |= {
                    f"{at}.input.weight": draw(4 * lstm, E if layer == 0 else 2 * lstm), f"{at}.input.bias": draw(4 * lstm),
                    f"{at}.state.weight": draw(4 * lstm, lstm), f"{at}.state.bias": draw(4 * lstm),
                }
        width = 2 * lstm
    for i, out in enumerate(widths):
        params |= {f"prompt.encoder.mlp.{i}.weight": draw(out, width), f"prompt.encoder.mlp.{i}.bias": draw(out)}
        width = out
    return params


def trained(pick, pooling):
    """Weights of the checkpoint that pick() takes and the logits depend on; key biases never matter."""
    used = lambda k: (pooling == "pooler" or not k.startswith("pooler.")) and not k.endswith("key.bias")
    return {f"backbone.{k}": v for k, v in weights.items() if pick(k) and used(k)}


def p_tuning(**options):
    return {"name": "p-tuning", "options": {"promptLength": P, **options}}


def gated(**options):
    return {"name": "p-tuning-v2", "options": {"promptLength": P, "gate": True, **options}}


def deep(draw, layers):
    return {"prompt.embeddings": draw(P, 2 * layers * E), "prompt.gate": draw(layers, config.num_attention_heads)}


def deep_mlp(draw, layers):
    return {
        "prompt.mlp.embeddings": draw(P, E), "prompt.mlp.in.weight": draw(M, E), "prompt.mlp.in.bias": draw(M),
        "prompt.mlp.out.weight": draw(2 * layers * E, M), "prompt.mlp.out.bias": draw(2 * layers * E),
        "prompt.gate": draw(layers, config.num_attention_heads),
    }


def rate_factor(name, facts):
    """Learning rate of a tensor as a multiple of the run's: gates open ten times as fast."""
    return 10.0 if name == "prompt.gate" else facts.get("head_factor", 1.0) if name.startswith("head.") else 1.0


bias = lambda k: k.endswith(".bias")
prompt_tuning = {"name": "prompt-tuning", "options": {"promptLength": P}}
double = {"name": "prompt-tuning", "options": {"promptLength": P, "preset": "thudm"}}
row0 = {"name": "prompt-tuning", "options": {"promptLength": P, "pooledRow": 0}}
runs = [
    ({"name": "linear-probe", "options": {}}, "mean", lambda draw: {}, {}),
    ({"name": "linear-probe", "options": {}}, "pooler", lambda draw: {}, {}),
    ({"name": "bitfit", "options": {}}, "mean", lambda draw: trained(bias, "mean"), {}),
    ({"name": "bitfit", "options": {}}, "pooler", lambda draw: trained(bias, "pooler"), {}),
    ({"name": "fine-tuning", "options": {}}, "pooler", lambda draw: trained(lambda k: True, "pooler"), {}),
    ({"name": "fine-tuning", "options": {}}, "mean", lambda draw: trained(lambda k: True, "mean"), {}),
    (prompt_tuning, "pooler", lambda draw: {"prompt.input": draw(P, E)}, {}),
    (prompt_tuning, "cls", lambda draw: {"prompt.input": draw(P, E)}, {}),
    (prompt_tuning, "mean", lambda draw: {"prompt.input": draw(P, E)}, {}),
    (double, "pooler", lambda draw: {"prompt.input": draw(P, E)}, {"double": True}),
    (double, "mean", lambda draw: {"prompt.input": draw(P, E)}, {"double": True}),
    (row0, "pooler", lambda draw: {"prompt.input": draw(P, E)}, {"pooled_row": 0}),
    (p_tuning(encoderHiddenSize=M), "mean", lambda draw: encoder(draw, [2 * M, E], M), {}),
    (p_tuning(encoderHiddenSize=M, pooledRow=0), "pooler", lambda draw: encoder(draw, [2 * M, E], M), {"pooled_row": 0}),
    (p_tuning(preset="thudm"), "pooler", lambda draw: encoder(draw, [E, E], E), {}),
    (p_tuning(encoder="mlp", encoderHiddenSize=M), "mean", lambda draw: encoder(draw, [M, M, E]), {}),
    (gated(), "pooler", lambda draw: deep(draw, 3), {"layers": [0, 1, 2]}),
    (gated(), "mean", lambda draw: deep(draw, 3), {"layers": [0, 1, 2], "head_factor": 0.1}),
    (gated(promptLayers={"last": 1}), "cls", lambda draw: deep(draw, 1), {"layers": [2], "head_factor": 3.0}),
    (gated(promptLayers=[0, 2]), "mean", lambda draw: deep(draw, 2), {"layers": [0, 2]}),
    (gated(reparameterization="mlp", prefixHiddenSize=M), "cls", lambda draw: deep_mlp(draw, 3), {"layers": [0, 1, 2]}),
]


def peft_logits(method, params):
    """The same function by transformers and PEFT."""
    model = BertForSequenceClassification.from_pretrained(golden / "bert", num_labels=C).double().eval()
    shared = {"task_type": TaskType.SEQ_CLS, "num_virtual_tokens": P}
    if method["name"] == "prompt-tuning":
        peft = get_peft_model(model, PromptTuningConfig(**shared))
        peft.prompt_encoder["default"].embedding.weight.data = params["prompt.input"].detach().clone()
    else:
        peft = get_peft_model(model, PromptEncoderConfig(**shared, encoder_hidden_size=M, encoder_reparameterization_type="LSTM"))
        module = peft.prompt_encoder["default"]
        state = {"embedding.weight": params["prompt.encoder.embeddings"]}
        for layer in (0, 1):
            for direction in ("forward", "backward"):
                state |= {f"lstm_head.{t}": params[o] for o, t in lstm_names(layer, direction).items()}
        for ours, theirs in ((0, 0), (1, 2)):
            for kind in ("weight", "bias"):
                state[f"mlp_head.{theirs}.{kind}"] = params[f"prompt.encoder.mlp.{ours}.{kind}"]
        module.double().load_state_dict({k: v.detach() for k, v in state.items()})
    head = peft.base_model.classifier.modules_to_save["default"]
    head.weight.data, head.bias.data = params["head.weight"].detach().clone(), params["head.bias"].detach().clone()
    peft.double().eval()
    return peft(input_ids=ids, attention_mask=mask, token_type_ids=types).logits


cases, tensors = [], {}
for method, pooling, make, facts in runs:
    generator = torch.Generator().manual_seed(100 + len(cases))
    # Rounded to float32, the precision in which parameters are stored.
    draw = lambda *shape: torch.randn(*shape, generator=generator).float().double().mul(0.5)
    params = {k: v.clone().requires_grad_() for k, v in (make(draw) | {"head.weight": draw(C, E), "head.bias": draw(C)}).items()}
    if "layers" in facts:
        net = PrefixBert(weights, config, facts["layers"], pooling, P)
    else:
        net = MethodBert(pooling, **facts)
    key = f"case{len(cases)}"
    tensors |= {f"{key}.param.{k}": v.detach().clone() for k, v in params.items() if not k.startswith("backbone.")}
    logits = net.logits(params, ids, types, mask)
    if facts.get("pooled_row") == 0:
        theirs = peft_logits(method, params)
        assert (theirs - logits).abs().max() < 1e-12, (method, (theirs - logits).abs().max())
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    tensors |= {f"{key}.grad.{k}": v.grad.clone() for k, v in params.items()}
    tensors[f"{key}.logits"] = logits.detach()
    # Fine-tuning decays matrices only.
    shrinks = lambda v: method["name"] != "fine-tuning" or v.dim() > 1
    optimizer = torch.optim.AdamW(
        [
            {"params": [v], "weight_decay": 0.01 if shrinks(v) else 0.0, "lr": 1e-2 * rate_factor(k, facts)}
            for k, v in params.items()
        ]
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (10 - step) / 10)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        step_loss = F.cross_entropy(net.logits(params, ids, types, mask), labels)
        step_loss.backward()
        torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(step_loss.item())
    name = ", ".join([method["name"], *(f"{k} {v}" for k, v in method["options"].items()), pooling])
    case = {"key": key, "name": name, "method": method, "pooling": pooling, "loss": loss.item(), "losses": losses}
    cases.append(case | {"headFactor": facts.get("head_factor", 1.0)})

# What attention sees of the golden texts behind a prompt of P that is not there: keys and values of real tokens.
net = PrefixBert(weights, config, [], "mean", P)
net.hidden({"prompt.embeddings": torch.zeros(0, 0)}, ids, types, mask)
tensors["keys and values"] = torch.cat(net.keys_and_values, -1)[mask == 1]


def adafactor(factored):
    """Ten steps on a matrix and a vector; transformers factors every matrix, a flat tensor never."""
    generator = torch.Generator().manual_seed(5)
    shapes = {"matrix": (5, 4), "vector": (6,)}
    initial = {k: torch.randn(*s, generator=generator, dtype=torch.float64) for k, s in shapes.items()}
    grads = [{k: 3 * torch.randn(*s, generator=generator, dtype=torch.float64) for k, s in shapes.items()} for _ in range(10)]
    shaped = lambda v: v.clone() if factored else v.clone().flatten()
    params = {k: shaped(v).requires_grad_() for k, v in initial.items()}
    # There weight decay is multiplied by the learning rate, in flax and optax it is not.
    optimizer = Adafactor(params.values(), lr=0.3, scale_parameter=False, relative_step=False, weight_decay=1e-2 / 0.3)
    for step in grads:
        for k, v in params.items():
            v.grad = shaped(step[k])
        optimizer.step()
    flat = lambda values: {k: v.detach().flatten().tolist() for k, v in values.items()}
    return {"factored": factored, "shapes": shapes, "initial": flat(initial), "grads": [flat(g) for g in grads], "final": flat(params)}


save_file({k: v.contiguous() for k, v in tensors.items()}, target / "golden.safetensors")
(target / "golden.json").write_text(json.dumps({"torch": torch.__version__, "cases": cases}) + "\n")
(target / "adafactor.json").write_text(json.dumps([adafactor(True), adafactor(False)]) + "\n")
print(f"{len(cases)} cases, {sum(f.stat().st_size for f in target.iterdir())} bytes")
