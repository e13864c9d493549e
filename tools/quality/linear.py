"""Logistic regression of scikit-learn on the frozen backbone: mean-pooled vectors of the last layer or of every layer side
by side, each of length 1; for tags the vectors of each word's first piece. The strength of regularisation is
cross-validated."""

import numpy as np
import sklearn
import torch
import transformers
from job import Job, encode, mean_pooled
from joblib import dump
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit, StratifiedKFold
from transformers import AutoModel, AutoTokenizer


def vectors(job, rows, model, tokenizer):
    """`[N, E]` or, of all layers, `[N, layers · E]`, and for each vector the row and the word that it is of."""
    settings = job.settings
    found, places = [], []
    for start in range(0, len(rows), 64):
        part = rows[start : start + 64]
        batch, firsts = encode(tokenizer, part, settings["maxLength"])
        with torch.inference_mode():
            hidden = model(**batch, output_hidden_states=True).hidden_states
        # The first one is the embeddings, which no layer has seen.
        layers = hidden[1:] if settings["layers"] == "all" else hidden[-1:]
        if firsts is None:
            read = [mean_pooled(layer, batch["attention_mask"]) for layer in layers]
            places += [(start + i, None) for i in range(len(part))]
        else:
            at = [(i, position, word) for i, own in enumerate(firsts) for position, word in own]
            read = [layer[[i for i, _, _ in at], [p for _, p, _ in at]] for layer in layers]
            places += [(start + i, word) for i, _, word in at]
        found.append(torch.cat([torch.nn.functional.normalize(one, dim=-1) for one in read], -1).numpy())
    return np.concatenate(found), places


def fitted(job, x, y, places):
    settings = job.settings
    fit = lambda c, x, y: LogisticRegression(C=c, max_iter=1000).fit(x, y)
    if job.kind == "tags":
        # One part of the sentences decides: words are many.
        splits = GroupShuffleSplit(1, test_size=1 / settings["folds"], random_state=job.seed)
        parts = list(splits.split(x, y, [row for row, _ in places]))
    else:
        folds = min(settings["folds"], min(np.unique(y, return_counts=True)[1]))
        parts = list(StratifiedKFold(folds, shuffle=True, random_state=job.seed).split(x, y)) if folds > 1 else []
    score = lambda c: np.mean([fit(c, x[a], y[a]).score(x[b], y[b]) for a, b in parts]) if parts else 0
    strength = max(settings["strengths"], key=score)
    return fit(strength, x, y), strength


def main():
    job = Job()
    tokenizer = AutoTokenizer.from_pretrained(job.backbone)
    model = AutoModel.from_pretrained(job.backbone, add_pooling_layer=False).eval()
    x, places = vectors(job, job.train, model, tokenizer)
    y = np.array([job.train[row]["label"] if word is None else job.train[row]["tags"][word] for row, word in places])
    regression, strength = fitted(job, x, y, places)
    dump(regression, job.model / "regression.joblib")
    job.saved(
        versions={"transformers": transformers.__version__, "scikit-learn": sklearn.__version__},
        strength=strength,
        trained=int(regression.coef_.size + regression.intercept_.size),
    )

    x, places = vectors(job, job.test, model, tokenizer)
    found = regression.predict(x).tolist()
    answers = [None if "words" not in row else ["O"] * len(row["words"]) for row in job.test]
    for (row, word), label in zip(places, found):
        if word is None:
            answers[row] = label
        else:
            answers[row][word] = label
    job.answer(answers)


main()
