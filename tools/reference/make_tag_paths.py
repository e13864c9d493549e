"""Tags of CoNLL04 from noisy logits, by argmax and by a Viterbi search in numpy, with seqeval's scores: test/golden/tag-paths.json."""

import json
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


transitions = np.array([[0 if allowed(a, b) else -np.inf for b in labels] for a in labels])
starts = np.array([0 if allowed("O", tag) else -np.inf for tag in labels])


def viterbi(logits: np.ndarray) -> list[int]:
    scores = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    best, pointers = starts + scores[0], []
    for row in scores[1:]:
        through = best[:, None] + transitions
        pointers.append(through.argmax(0))
        best = through.max(0) + row
    path = [int(best.argmax())]
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
        "constrained": [labels[i] for i in viterbi(logits)],
    })


def scores(how: str) -> dict[str, float]:
    gold, predicted = ([case[key] for case in cases] for key in ("gold", how))
    return {
        "f1": float(f1_score(gold, predicted)),
        "precision": float(precision_score(gold, predicted)),
        "recall": float(recall_score(gold, predicted)),
        "tagAccuracy": float(accuracy_score(gold, predicted)),
    }


golden = {"labels": labels, "unit": unit, "cases": cases, "scores": {how: scores(how) for how in ("argmax", "constrained")}}
(root / "test/golden/tag-paths.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
