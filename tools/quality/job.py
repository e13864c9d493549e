"""What every rival of tools/quality.mjs has in common.

A rival is a program that gets the path of a job: {backbone, train, test, kind, output, seed, precision, threads, settings}.
It trains on the rows of `train` (JSON lines: {text, pair?, label} or {words, tags}), saves into `output`/model, says so with one JSON
line on standard output, which is where its time ends, and then writes `output`/predictions.json: an answer for each row
of `test`, whose answers it is never given.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
import torch


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class Job:
    def __init__(self):
        with open(sys.argv[1]) as file:
            self.__dict__.update(json.load(file))
        self.train, self.test = lines(self.train), lines(self.test)
        self.output = Path(self.output)
        torch.set_num_threads(self.threads)
        random.seed(self.seed)
        np.random.seed(self.seed)
        torch.manual_seed(self.seed)

    @property
    def labels(self):
        """Every label of the training rows, sorted; `O` first where words are tagged."""
        if self.kind != "tags":
            return sorted({row["label"] for row in self.train})
        return ["O", *sorted({tag for row in self.train for tag in row["tags"]} - {"O"})]

    @property
    def model(self):
        folder = self.output / "model"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def autocast(self):
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def saved(self, **facts):
        """The model is on disk. `facts` stand in the result: what was built, how long it was trained."""
        print(json.dumps({"saved": True, "torch": torch.__version__, **facts}), flush=True)

    def answer(self, predictions):
        """Answers of the test rows, in their order: a label, or a tag for each word."""
        (self.output / "predictions.json").write_text(json.dumps(predictions))


def texts(rows):
    """Arguments of a tokenizer: the texts, and what they are paired with if they are."""
    first = [row["text"] for row in rows]
    return (first, [row["pair"] for row in rows]) if "pair" in rows[0] else (first,)


def encode(tokenizer, rows, max_length):
    """A padded batch, and for each row of words the positions of their first pieces, in order, with the words' numbers."""
    if "words" not in rows[0]:
        batch = tokenizer(*texts(rows), padding=True, truncation=True, max_length=max_length, return_tensors="pt")
        return batch, None
    words = [row["words"] for row in rows]
    batch = tokenizer(
        words, is_split_into_words=True, padding=True, truncation=True, max_length=max_length, return_tensors="pt"
    )
    firsts = []
    for i in range(len(rows)):
        ids = batch.word_ids(i)
        firsts.append([(p, w) for p, w in enumerate(ids) if w is not None and (p == 0 or ids[p - 1] != w)])
    return batch, firsts


def mean_pooled(hidden, mask):
    """Mean over the tokens that are there: `[B, S, E]` → `[B, E]`."""
    mask = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1)
