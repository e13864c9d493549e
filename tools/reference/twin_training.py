"""What the other halves of twin runs share: AdamW with a linear decay on dumped batches, and the logits that come of it."""

import json
import sys

import torch
from safetensors.torch import load_file, save_file


def parts_of(tensors, name):
    """The tensors `NAME.part` by their parts; whole numbers as PyTorch indexes with them, others as it computes."""
    own = {key.split(".")[1]: value for key, value in tensors.items() if key.split(".")[0] == name}
    dtype = torch.get_default_dtype()
    return {part: value.to(dtype if value.is_floating_point() else torch.long) for part, value in own.items()}


def train(folder, settings, trainable, steps, loss_of):
    """Trains tensors, or AdamW's groups of them, on batches.safetensors and writes theirs.json.

    loss_of(step, part) gives the loss of one batch.
    """
    optimizer = torch.optim.AdamW(trainable, lr=settings["learningRate"], weight_decay=settings["weightDecay"])
    tensors = [tensor for group in optimizer.param_groups for tensor in group["params"]]
    total = settings["totalSteps"]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, (total - step) / total))
    batches = load_file(folder / "batches.safetensors")
    losses = []
    for step in range(steps):
        # What has no gradient afterwards is left alone by the optimizer.
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(step, parts_of(batches, str(step)))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tensors, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 25 == 0:
            print(f"theirs step {step}/{steps}", file=sys.stderr)
    (folder / "theirs.json").write_text(json.dumps({"losses": losses, "torch": torch.__version__}))


def write_logits(source, target, batches, logits):
    """Writes the logits of the batches 0 … batches − 1 of a file, positions outside."""
    dev = load_file(source)
    outputs = {}
    with torch.no_grad():
        for i in range(batches):
            found = logits(parts_of(dev, str(i)))
            # [B, S, C] → [S·B, C]
            rows = found.transpose(0, 1).reshape(-1, found.shape[-1]) if found.dim() == 3 else found
            outputs[str(i)] = rows.float().contiguous()
    save_file(outputs, target)
