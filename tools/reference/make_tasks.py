"""Makes test/golden/tasks/: golden states of the task families on the tiny BERT of make_bert.py, in float64.

For each case: trainable tensors, logits, loss, every gradient, ten AdamW losses (clip 1.0, weight decay 0.01,
linear decay). The losses are PyTorch's own, summed over the examples. Run after make_bert.py: node tools/reference/run.mjs make_tasks.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import BertConfig

from prefix_bert import PrefixBert

golden = Path(__file__).resolve().parents[2] / "test" / "golden"
target = golden / "tasks"
target.mkdir(parents=True, exist_ok=True)
torch.manual_seed(2323)
B, S, P, E = 7, 7, 3, 16
config = BertConfig.from_pretrained(golden / "bert")
weights = {k.removeprefix("bert."): v.double() for k, v in load_file(golden / "bert" / "model.safetensors").items()}
layers = list(range(config.num_hidden_layers))

ids = torch.randint(5, 40, (B, S))
lengths = [7, 4, 6, 5, 2, 7, 3]
mask, types = torch.zeros(B, S, dtype=torch.long), torch.zeros(B, S, dtype=torch.long)
for row, length in enumerate(lengths):
    mask[row, :length] = 1
    types[row, length // 2 : length] = 1
    ids[row, length:] = 0

labels = ["a", "b", "c"]
sets = [["a"], [], ["b", "c"], ["a", "b", "c"], ["c"], [], ["a", "c"]]
scores = [0.0, 5.0, 2.25, 3.5, 1.0, 4.75, 4.0]
classes = ["a", "c", "b", "b", "c", "a", "c"]
shares = {"a": 0.5, "b": 2.0, "c": 1.25}
# Seven sequences are three examples of three, two and two alternatives.
sizes, chosen = [3, 2, 2], [2, 0, 1]


def multi_label(logits):
    gold = torch.tensor([[float(label in row) for label in labels] for row in sets], dtype=torch.float64)
    return F.binary_cross_entropy_with_logits(logits, gold, reduction="sum")


def regression(logits):
    gold = (torch.tensor(scores, dtype=torch.float64) - 2.5) / 2
    return F.mse_loss(logits[:, 0], gold, reduction="sum")


def weighted(logits):
    gold = torch.tensor([labels.index(label) for label in classes])
    return F.cross_entropy(logits, gold, torch.tensor([shares[label] for label in labels], dtype=torch.float64), reduction="sum")


def choice(logits):
    items = logits[:, 0].split(sizes)
    return sum(F.cross_entropy(item[None], torch.tensor([label])) for item, label in zip(items, chosen))


cases = [
    ("multi-label", "mean", 3, {"labels": labels}, [{"text": "", "labels": row} for row in sets], multi_label),
    ("regression", "pooler", 1, {"center": 2.5, "scale": 2.0}, [{"text": "", "score": score} for score in scores], regression),
    ("text-classification", "cls", 3, {"labels": labels, "classWeights": shares}, [{"text": "", "label": label} for label in classes], weighted),
    ("multiple-choice", "pooler", 1, {}, [{"text": "", "choices": [""] * size, "label": label} for size, label in zip(sizes, chosen)], choice),
    ("multiple-choice", "mean", 1, {}, [{"text": "", "choices": [""] * size, "label": label} for size, label in zip(sizes, chosen)], choice),
]
manifest, tensors = [], {}
for number, (task, pooling, width, options, examples, loss_of) in enumerate(cases):
    generator = torch.Generator().manual_seed(number)
    # Rounded to float32, the precision in which parameters are stored.
    draw = lambda *shape: torch.randn(*shape, generator=generator).float().double().mul(0.5)
    initial = {"head.weight": draw(width, E), "head.bias": draw(width), "prompt.embeddings": draw(P, 2 * len(layers) * E)}
    net = PrefixBert(weights, config, layers, pooling, P)
    params = {k: v.clone().requires_grad_() for k, v in initial.items()}
    logits = net.logits(params, ids, types, mask)
    loss = loss_of(logits)
    loss.backward()
    key = f"case{number}"
    tensors |= {f"{key}.param.{k}": v for k, v in initial.items()}
    tensors |= {f"{key}.grad.{k}": v.grad.clone() for k, v in params.items()}
    tensors[f"{key}.logits"] = logits.detach()

    optimizer = torch.optim.AdamW(params.values(), lr=1e-2, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (10 - step) / 10)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        step_loss = loss_of(net.logits(params, ids, types, mask))
        step_loss.backward()
        torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(step_loss.item())
    manifest.append({
        "key": key, "type": task, "options": {**options, "pooling": pooling}, "examples": examples,
        "loss": loss.item(), "losses": losses,
    })

save_file({k: v.contiguous() for k, v in tensors.items()}, target / "golden.safetensors")
(target / "golden.json").write_text(json.dumps({
    "torch": torch.__version__, "promptLength": P,
    "tokens": [row[:length].tolist() for row, length in zip(ids, lengths)],
    "types": [row[:length].tolist() for row, length in zip(types, lengths)],
    "cases": manifest,
}) + "\n")
print(f"{len(cases)} cases, {sum(f.stat().st_size for f in target.iterdir())} bytes")
