"""The other half of a twin run: PEFT or plain PyTorch on the same weights, from the same tensors, on the same batches.

Usage: twin.py FOLDER
FOLDER holds twin.json (settings), start.safetensors (what is trained) and frozen.safetensors (what the checkpoint lacks and
is not), batches.safetensors (per step: ids, types, mask and the gold answers) and dev.safetensors. Writes theirs.json
(losses) and logits.safetensors: dev logits after the last step, positions outside.
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel

from prefix_bert import PrefixBert
from prompted import Prompted
from twin_training import train, write_logits

folder = Path(sys.argv[1])
settings = json.loads((folder / "twin.json").read_text())
torch.manual_seed(0)
torch.set_default_dtype(getattr(torch, settings["dtype"]))


def load(path):
    return {name: value.to(torch.get_default_dtype()) for name, value in load_file(path).items()}


initial, frozen = (load(folder / f"{name}.safetensors") for name in ("start", "frozen"))


def answer_loss(logits, part):
    # transformers lets padding compete as well; here, as with us, it does not.
    kept = logits.masked_fill(part["mask"][:, :, None] == 0, -math.inf)
    return (F.cross_entropy(kept[..., 0], part["starts"]) + F.cross_entropy(kept[..., 1], part["ends"])) / 2


def label_loss(logits, part):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), part["labels"].reshape(-1))


def multi_label_loss(logits, part):
    return F.binary_cross_entropy_with_logits(logits, part["labels"], reduction="sum") / len(logits)


def regression_loss(logits, part):
    return F.mse_loss(logits[:, 0], part["scores"])


def choice_loss(logits, part):
    items = logits[:, 0].split(part["sizes"].tolist())
    return torch.stack([F.cross_entropy(item, label) for item, label in zip(items, part["labels"])]).mean()


# Of tasks that do not learn one label per row of logits.
losses_of = {
    "span": answer_loss,
    "multi-label": multi_label_loss,
    "regression": regression_loss,
    "multiple-choice": choice_loss,
}
loss_of = losses_of.get(settings.get("loss", settings["head"]), label_loss)


def patched_model(config, params):
    """transformers' own model, with prompts in its attention and its weights replaced by trained ones."""
    model = AutoModel.from_pretrained(settings["backbone"]).to(torch.get_default_dtype()).eval().requires_grad_(False)
    net = Prompted(model)
    own = dict(model.named_parameters()) | frozen
    layers = list(range(len(net.modules)))

    def logits(part):
        weights = {k.removeprefix("backbone."): v for k, v in params.items() if k.startswith("backbone.")}
        inputs = {"input_ids": part["ids"], "attention_mask": part["mask"]}
        x = net.states(params.get("prompt.embeddings"), layers, params.get("prompt.gate"), weights, **inputs)
        if settings["pooling"] == "mean":
            share = part["mask"].to(x.dtype)[:, :, None]
            x = (x * share).sum(1) / share.sum(1)
        elif settings["pooling"] != "all":
            x = x[:, 0]
            if settings["pooling"] == "pooler":
                dense = [(own | weights)[f"pooler.dense.{part}"] for part in ("weight", "bias")]
                x = torch.tanh(F.linear(x, *dense))
        return F.linear(x, params["head.weight"], params["head.bias"])

    return logits


def hundred_lines(config, params):
    """BERT and RoBERTa by prefix_bert.py, which shares nothing with transformers."""
    stored = load(Path(settings["backbone"]) / "model.safetensors")
    weights = {k.removeprefix("bert.").removeprefix("roberta."): v for k, v in stored.items()}
    deep = (list(range(config.num_hidden_layers)), settings["promptLength"]) if "prompt.embeddings" in params else ([], 0)
    net = PrefixBert(weights | frozen, config, deep[0], settings["pooling"], deep[1])
    return lambda part: net.logits(params, part["ids"], part["types"], part["mask"])


def plain_model():
    config = AutoConfig.from_pretrained(settings["backbone"])
    params = {name: value.clone().requires_grad_() for name, value in initial.items()}
    logits = (hundred_lines if config.model_type in ("bert", "roberta") else patched_model)(config, params)
    # Fine-tuning spares biases and layer norms from weight decay, as BERT's authors do.
    spared = [k for k in params if settings["method"] == "fine-tuning" and k.endswith((".bias", ".LayerNorm.weight"))]
    groups = [
        {"params": [v for k, v in params.items() if k not in spared]},
        {"params": [params[k] for k in spared], "weight_decay": 0.0},
    ]
    return logits, groups


if settings["reference"] == "peft":
    # Seconds that the other runs need not wait.
    from peft_twin import peft_model

    logits, trainable = peft_model(settings, initial, frozen)
else:
    logits, trainable = plain_model()
train(folder, settings, trainable, settings["steps"], lambda _, part: loss_of(logits(part), part))
write_logits(folder / "dev.safetensors", folder / "logits.safetensors", settings["devBatches"], logits)
