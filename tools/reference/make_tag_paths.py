"""Tags of CoNLL04 from noisy logits, with seqeval's scores: test/golden/tag-paths.json.

By argmax; by a Viterbi search in numpy under the rules of IOB2; by the same with counts of how tags follow one another.
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

root = Path(__file__).parents[2]
# Logits are whole numbers of these, so that files and programs agree on them to the bit.
unit = 1 / 1024
rng = np.random.default_rng(11)

blocks = (root.parent / "shared/data/conll04/bio/test.txt").read_text().split("#doc")
sentences = [[row.split("\t")[2] for row in block.splitlines() if row.count("\t") > 2] for block in blocks]
sentences = [tags for tags in sentences if any(tag != "O" for tag in tags)][:28]
types = sorted({tag[2:] for tags in sentences for tag in tags if tag != "O"})
labels = ["O"] + [f"{prefix}-{kind}" for kind in types for prefix in "BI"]


def allowed(before: str, tag: str) -> bool:
    return not tag.startswith("I-") or before in (f"B{tag[1:]}", tag)


border = len(labels)
names = [*labels, ""]
# A border is like a word outside, but that a sentence has a word.
rules = np.array([[allowed(x, y) for y in names] for x in names])
rules[border, border] = False
counts = Counter(pair for tags in sentences for pair in zip(["", *tags], [*tags, ""]))
seen = np.where(rules, [[counts[x, y] + 0.5 for y in names] for x in names], 0)
with np.errstate(divide="ignore"):
    log_shares = np.log(seen / seen.sum(1, keepdims=True))
weight = 0.6


def viterbi(logits: np.ndarray, transitions: np.ndarray) -> list[int]:
    scores = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    best, pointers = transitions[border, :-1] + scores[0], []
    for row in scores[1:]:
        through = best[:, None] + transitions[:-1, :-1]
        pointers.append(through.argmax(0))
        best = through.max(0) + row
    path = [int((best + transitions[:-1, border]).argmax())]
    for pointer in reversed(pointers):
        path.append(int(pointer[path[-1]]))
    return path[::-1]


cases = []
for tags in sentences:
    gold = np.array([labels.index(tag) for tag in tags])
    noisy = 2.2 * np.eye(len(labels))[gold] + rng.normal(size=(len(tags), len(labels)))
    units = np.round(noisy / unit).astype(int)
    logits = units * unit
    cases.append({
        "gold": tags,
        "logits": units.tolist(),
        "argmax": [labels[i] for i in logits.argmax(1)],
        "constrained": [labels[i] for i in viterbi(logits, np.where(rules, 0, -np.inf))],
        "counted": [labels[i] for i in viterbi(logits, np.where(rules, weight * log_shares, -np.inf))],
    })


def scores(how: str) -> dict[str, float]:
    gold, predicted = ([case[key] for case in cases] for key in ("gold", how))
    return {
        "f1": float(f1_score(gold, predicted)),
        "precision": float(precision_score(gold, predicted)),
        "recall": float(recall_score(gold, predicted)),
        "tagAccuracy": float(accuracy_score(gold, predicted)),
    }


golden = {
    "labels": labels,
    "unit": unit,
    "weight": weight,
    "counts": {x: {y: counts[x, y] for y in names if counts[x, y]} for x in names},
    "cases": cases,
    "scores": {how: scores(how) for how in ("argmax", "constrained", "counted")},
}
(root / "test/golden/tag-paths.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
