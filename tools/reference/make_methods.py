"""Makes test/golden/methods/: golden states of every method in float64, on the tiny BERT of test/golden/bert.

For each case: trainable tensors that do not come from the checkpoint, logits, loss, every gradient, ten losses of
AdamW (clip 1.0, weight decay 0.01, linear decay); and ten steps of Adafactor on plain tensors, by transformers.
Run after make_bert.py: node tools/reference/run.mjs make_methods.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification
from transformers.optimization import Adafactor

from prefix_bert import PrefixBert
from prompt_encoder import peft_state

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


def lora(**options):
    return {"name": "lora", "options": options}


def pairs(draw, rank, ends, layers=range(3), others=()):
    """A and B of every linear layer of these kinds, in these layers."""
    names = [f"encoder.layer.{i}.{end}" for i in layers for end in ends] + list(others)
    shape = lambda name: weights[f"{name}.weight"].shape
    return {
        f"lora.bert.{name}.{part}": draw(rank, shape(name)[1]) if part == "A" else draw(shape(name)[0], rank)
        for name in names
        for part in "AB"
    }


def rate_factor(name, facts):
    """Learning rate of a tensor as a multiple of the run's: gates open ten times as fast."""
    return 10.0 if name == "prompt.gate" else facts.get("head_factor", 1.0) if name.startswith("head.") else 1.0


bias = lambda k: k.endswith(".bias")
query_value = ["attention.self.query", "attention.self.value"]
every = [*query_value, "attention.self.key", "attention.output.dense", "intermediate.dense", "output.dense"]
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
    (double, "pooler", lambda draw: {"prompt.input": draw(P, E)}, {"embedding_passes": 2}),
    (double, "mean", lambda draw: {"prompt.input": draw(P, E)}, {"embedding_passes": 2}),
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
    (lora(), "pooler", lambda draw: pairs(draw, 8, query_value), {"lora": (8, 8)}),
    (lora(rank=2, alpha=16, targets="all"), "mean", lambda draw: pairs(draw, 2, every), {"lora": (2, 16)}),
    (
        lora(rank=4, alpha=2, targets=["output.dense", "pooler.dense", "encoder.layer.1.attention.self.key"]),
        "pooler",
        lambda draw: pairs(draw, 4, ["attention.output.dense", "output.dense"], others=["encoder.layer.1.attention.self.key", "pooler.dense"]),
        {"lora": (4, 2)},
    ),
    (lora(rank=3, alpha=3, targets="value", layers={"last": 1}), "cls", lambda draw: pairs(draw, 3, query_value[1:], [2]), {"lora": (3, 3)}),
]


def peft_logits(method, params, facts):
    """The same function by transformers and PEFT."""
    model = BertForSequenceClassification.from_pretrained(golden / "bert", num_labels=C).double().eval()
    if method["name"] == "lora":
        modules = [k.removeprefix("lora.").removesuffix(".A") for k in params if k.endswith(".A")]
        rank, alpha = facts["lora"]
        peft = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, r=rank, lora_alpha=alpha, target_modules=modules))
        for module in modules:
            layer = peft.base_model.model.get_submodule(module)
            for part in "AB":
                getattr(layer, f"lora_{part}")["default"].weight.data = params[f"lora.{module}.{part}"].detach().clone()
        head = peft.base_model.model.classifier.modules_to_save["default"]
        head.weight.data, head.bias.data = params["head.weight"].detach().clone(), params["head.bias"].detach().clone()
        peft.double().eval()
        return peft(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
    shared = {"task_type": TaskType.SEQ_CLS, "num_virtual_tokens": P}
    if method["name"] == "prompt-tuning":
        peft = get_peft_model(model, PromptTuningConfig(**shared))
        peft.prompt_encoder["default"].embedding.weight.data = params["prompt.input"].detach().clone()
    else:
        peft = get_peft_model(model, PromptEncoderConfig(**shared, encoder_hidden_size=M, encoder_reparameterization_type="LSTM"))
        peft.prompt_encoder["default"].double().load_state_dict({k: v.detach() for k, v in peft_state(params).items()})
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
    layers, passes = facts.get("layers", []), facts.get("embedding_passes", 1)
    rank, alpha = facts.get("lora", (1, 1))
    net = PrefixBert(weights, config, layers, pooling, P if layers else 0, passes, facts.get("pooled_row"), alpha / rank)
    key = f"case{len(cases)}"
    tensors |= {f"{key}.param.{k}": v.detach().clone() for k, v in params.items() if not k.startswith("backbone.")}
    logits = net.logits(params, ids, types, mask)
    if facts.get("pooled_row") == 0 or (method["name"] == "lora" and pooling == "pooler"):
        theirs = peft_logits(method, params, facts)
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
net.hidden({}, ids, types, mask)
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
