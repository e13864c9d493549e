"""Precision, recall, F1 and confusion matrix of random answers from scikit-learn: test/golden/label-review.json."""

import json
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

rng = np.random.default_rng(7)
cases = []
# The last label of the third case is never gold, that of the fourth never predicted.
for labels, count, gold_labels, predicted_labels in [(2, 50, 2, 2), (5, 200, 5, 5), (4, 40, 3, 4), (4, 40, 4, 3)]:
    gold = rng.integers(gold_labels, size=count)
    predicted = np.where(rng.random(count) < 0.6, gold, rng.integers(predicted_labels, size=count))
    predicted = np.minimum(predicted, predicted_labels - 1)
    numbers = list(range(labels))
    p, r, f, s = precision_recall_fscore_support(gold, predicted, labels=numbers, zero_division=0)
    cases.append({
        "labels": labels,
        "gold": gold.tolist(),
        "predicted": predicted.tolist(),
        "matrix": confusion_matrix(gold, predicted, labels=numbers).tolist(),
        "rows": [[int(s[i]), float(p[i]), float(r[i]), float(f[i])] for i in numbers],
    })
target = Path(__file__).parents[2] / "test/golden/label-review.json"
target.write_text(json.dumps(cases) + "\n")
