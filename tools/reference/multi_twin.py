"""The other half of a twin run of several tasks: multi-task P-Tuning v2 in plain PyTorch.

One prompt, one linear head per task, one task per batch, one torch.optim.AdamW over all tensors. Gradients of heads that
are absent from a batch are None, so AdamW neither decays them nor moves or counts anything of theirs.

Usage: multi_twin.py FOLDER
FOLDER holds twin.json (settings), start.safetensors, batches.safetensors (per step: ids, types, mask and labels) and
dev-TASK.safetensors. Writes theirs.json (losses) and logits-TASK.safetensors: dev logits, positions outside.
"""

import json
import sys
from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoConfig

from prefix_bert import PrefixBert
from twin_training import train, write_logits

folder = Path(sys.argv[1])
settings = json.loads((folder / "twin.json").read_text())
backbone = Path(settings["backbone"])
weights = {k.removeprefix("bert."): v.float() for k, v in load_file(backbone / "model.safetensors").items()}
config = AutoConfig.from_pretrained(backbone)
params = {name: value.clone().requires_grad_() for name, value in load_file(folder / "start.safetensors").items()}


def logits(name, part):
    task = settings["tasks"][name]
    net = PrefixBert(weights, config, list(range(config.num_hidden_layers)), task["pooling"], settings["promptLength"])
    own = {
        "prompt.embeddings": params["prompt.embeddings"],
        "head.weight": params[f"{name}/head.weight"],
        "head.bias": params[f"{name}/head.bias"],
    }
    return net.logits(own, part["ids"], part["types"], part["mask"])


def loss_of(step, part):
    found = logits(settings["order"][step], part)
    return F.cross_entropy(found.reshape(-1, found.shape[-1]), part["labels"].reshape(-1))


train(folder, settings, list(params.values()), len(settings["order"]), loss_of)
for name, task in settings["tasks"].items():
    source, target = folder / f"dev-{name}.safetensors", folder / f"logits-{name}.safetensors"
    write_logits(source, target, task["devBatches"], lambda part: logits(name, part))
