"""Temperatures by scipy, expected calibration errors by numpy and thresholds by trying every one, of random logits:
test/golden/calibration.json. null stands for -Infinity."""

import json
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from sklearn.metrics import log_loss

rng = np.random.default_rng(15)
edges = np.linspace(0, 1, 16)
cases = {"classes": [], "labels": []}


def ece(confidence, right):
    bins = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, 14)
    total = 0.0
    for b in range(15):
        inside = bins == b
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(total)


def best(loss):
    """The temperature, by its logarithm, to all digits that a search on values gives."""
    found = minimize_scalar(lambda t: loss(np.exp(t)), bounds=(np.log(0.01), np.log(100)), method="bounded",
                            options={"xatol": 1e-10})
    return float(np.exp(found.x))


def abstain(confidence, right, wanted):
    """The smallest probability from which on the precision is what is wanted: coverage and precision there."""
    confidence = np.round(confidence, 9)
    for threshold in np.unique(confidence):
        answered = confidence >= threshold
        if right[answered].mean() >= wanted:
            return {"precision": wanted, "coverage": float(answered.mean()), "answeredPrecision": float(right[answered].mean())}
    return None


def classes(logits, gold):
    n, c = logits.shape
    right = logits.argmax(1) == gold
    # Gold classes are believed a little less than wholly where nothing is wrong.
    doubt = 0 if (~right).any() else 1 / (n + 2)
    targets = np.zeros_like(logits)
    for row, g in enumerate(gold):
        others = [k for k in range(c) if k != g and np.isfinite(logits[row, k])]
        targets[row, others] = doubt / max(1, len(others))
        targets[row, g] = 1 - doubt if others else 1

    def loss(temperature):
        with np.errstate(invalid="ignore"):
            return -np.where(targets > 0, targets * log_softmax(logits / temperature, axis=1), 0).sum()

    temperature = best(loss)
    probabilities = softmax(logits / temperature, axis=1)
    confidence = probabilities.max(1)
    cases["classes"].append({
        "logits": [[float(z) if np.isfinite(z) else None for z in row] for row in logits],
        "gold": gold.tolist(),
        "temperature": temperature,
        "logLoss": log_loss(gold, probabilities, labels=range(c)),
        "ece": ece(confidence, right),
        "eceBefore": ece(softmax(logits, axis=1).max(1), right),
        "abstain": [found for wanted in [0.6, 0.8, 0.9, 0.95] if (found := abstain(confidence, right, wanted))],
    })


def labels(logits, gold):
    def loss(temperature):
        z = logits / temperature
        return (np.logaddexp(0, z) - gold * z).sum()

    temperature = best(loss)
    cases["labels"].append({
        "logits": logits.tolist(),
        "gold": gold.tolist(),
        "temperature": temperature,
        "ece": ece(expit(logits / temperature).ravel(), gold.ravel()),
        "eceBefore": ece(expit(logits).ravel(), gold.ravel()),
    })


for n, c, signal, scale in [(60, 3, 1.2, 1), (150, 5, 2.0, 4), (120, 2, 1.0, 0.2), (90, 12, 2.5, 1.5)]:
    gold = rng.integers(c, size=n)
    logits = rng.normal(size=(n, c))
    logits[np.arange(n), gold] += signal
    classes(np.round(scale * logits, 3), gold)
# Every answer is right.
gold = rng.integers(3, size=70)
logits = rng.normal(size=(70, 3))
logits[np.arange(70), gold] = logits.max(1) + rng.uniform(0.1, 2, size=70)
classes(np.round(logits, 3), gold)
# Classes that cannot be.
gold = rng.integers(4, size=80)
logits = 2 * rng.normal(size=(80, 4))
logits[np.arange(80), gold] += 2
masked = (gold + 1 + rng.integers(3, size=80)) % 4
logits[np.arange(80), masked] = -np.inf
classes(np.round(logits, 3), gold)
for n, c, scale in [(60, 4, 3), (100, 2, 0.4)]:
    gold = (rng.random((n, c)) < 0.3).astype(int)
    labels(np.round(scale * (rng.normal(size=(n, c)) + 2 * gold - 1), 3), gold)

target = Path(__file__).parents[2] / "test/golden/calibration.json"
lines = ",\n".join(f'"{name}": [\n' + ",\n".join(json.dumps(case) for case in rows) + "\n]" for name, rows in cases.items())
target.write_text(f"{{{lines}}}\n")
print({name: len(rows) for name, rows in cases.items()}, target.stat().st_size, "bytes")
