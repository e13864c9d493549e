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

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from prefix_bert import PrefixBert

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
    inputs = (own, part["ids"], part["types"], part["mask"])
    if task["head"] == "sequence":
        return net.logits(*inputs)
    return F.linear(net.hidden(*inputs), own["head.weight"], own["head.bias"])


def parts_of(tensors, name):
    return {key.split(".")[1]: value.long() for key, value in tensors.items() if key.split(".")[0] == name}


trainable = list(params.values())
optimizer = torch.optim.AdamW(trainable, lr=settings["learningRate"], weight_decay=settings["weightDecay"])
total = settings["totalSteps"]
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, (total - step) / total))
batches = load_file(folder / "batches.safetensors")
losses = []
for step, name in enumerate(settings["order"]):
    part = parts_of(batches, str(step))
    optimizer.zero_grad(set_to_none=True)
    found = logits(name, part)
    loss = F.cross_entropy(found.reshape(-1, found.shape[-1]), part["labels"].reshape(-1))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trainable, 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
    if step % 25 == 0:
        print(f"theirs step {step}/{len(settings['order'])}", file=sys.stderr)

with torch.no_grad():
    for name, task in settings["tasks"].items():
        dev = load_file(folder / f"dev-{name}.safetensors")
        outputs = {}
        for i in range(task["devBatches"]):
            found = logits(name, parts_of(dev, str(i)))
            # [B, S, C] → [S·B, C]
            rows = found.transpose(0, 1).reshape(-1, found.shape[-1]) if found.dim() == 3 else found
            outputs[str(i)] = rows.contiguous()
        save_file(outputs, folder / f"logits-{name}.safetensors")
(folder / "theirs.json").write_text(json.dumps({"losses": losses, "torch": torch.__version__}))
