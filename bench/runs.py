"""PEFT's side of the whole runs: trains as its users do, with batches padded to their longest text, and scores the test
with the state that was best on dev.

  runs.py FOLDER BACKBONE text|tokens EPOCHS SEED fp32|bf16
FOLDER holds train.jsonl, dev.jsonl and test.jsonl: {text, label} or {words, tags}. Prints one JSON line.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PrefixTuningConfig, TaskType, get_peft_model
from seqeval.metrics import f1_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    get_linear_schedule_with_warmup,
)

folder, backbone, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
epochs, seed, precision = int(sys.argv[4]), int(sys.argv[5]), sys.argv[6]
torch.manual_seed(seed)
splits = {name: list(map(json.loads, open(folder / f"{name}.jsonl"))) for name in ("train", "dev", "test")}
tokenizer = AutoTokenizer.from_pretrained(backbone)
limits = {"truncation": True, "max_length": 256}


def encode_texts(rows):
    encoded = tokenizer([row["text"] for row in rows], **limits)
    return [(ids, labels.index(row["label"])) for ids, row in zip(encoded["input_ids"], rows)]


def encode_words(rows):
    encoded = tokenizer([row["words"] for row in rows], is_split_into_words=True, **limits)
    items = []
    for i, row in enumerate(rows):
        words = encoded.word_ids(i)
        first = [w is not None and w != before for w, before in zip(words, [None, *words])]
        items.append((encoded["input_ids"][i], [labels.index(row["tags"][w]) if f else -100 for w, f in zip(words, first)]))
    return items


def collate(items):
    longest = max(len(ids) for ids, _ in items)
    ids = torch.tensor([ids + [tokenizer.pad_token_id] * (longest - len(ids)) for ids, _ in items])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in items])
    gold = [answer if kind == "text" else answer + [-100] * (longest - len(answer)) for _, answer in items]
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor(gold)}


if kind == "text":
    labels = sorted({row["label"] for row in splits["train"]})
    task, model_class, encode = TaskType.SEQ_CLS, AutoModelForSequenceClassification, encode_texts
else:
    labels = sorted({tag for row in splits["train"] for tag in row["tags"]})
    task, model_class, encode = TaskType.TOKEN_CLS, AutoModelForTokenClassification, encode_words
data = {name: encode(rows) for name, rows in splits.items()}
model = model_class.from_pretrained(backbone, num_labels=len(labels))
model = get_peft_model(model, PrefixTuningConfig(task_type=task, num_virtual_tokens=20))
trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
optimizer = torch.optim.AdamW(trainable.values(), lr=1e-2, weight_decay=0.0)


def batches(items, shuffle):
    return torch.utils.data.DataLoader(items, batch_size=32, shuffle=shuffle, collate_fn=collate)


def autocast():
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


def score(items):
    model.eval()
    found, gold = [], []
    with torch.no_grad(), autocast():
        for batch in batches(items, shuffle=False):
            answers, right = model(**batch).logits.argmax(-1), batch["labels"]
            if kind == "text":
                found += answers.tolist()
                gold += right.tolist()
            else:
                for f, g in zip(answers, right):
                    found.append([labels[i] for i in f[g >= 0]])
                    gold.append([labels[i] for i in g[g >= 0]])
    if kind == "tokens":
        return f1_score(gold, found)
    return sum(f == g for f, g in zip(found, gold)) / len(gold)


train = batches(data["train"], shuffle=True)
schedule = get_linear_schedule_with_warmup(optimizer, 0, epochs * len(train))
best, kept = -1.0, {}
for _ in range(epochs):
    model.train()
    for batch in train:
        with autocast():
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable.values(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    dev = score(data["dev"])
    if dev > best:
        best, kept = dev, {name: p.detach().clone() for name, p in trainable.items()}
for name, value in kept.items():
    trainable[name].data.copy_(value)
print(json.dumps({"dev": best, "test": score(data["test"])}))
