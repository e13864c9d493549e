"""Regularised linear models by scikit-learn on standardised features: reads {features, others, C, labels, weights, sets,
scores}, writes what each model says of the other rows: multinomial with class weights, one per label, ridge."""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

given = json.loads(Path(sys.argv[1]).read_text())
features = np.array(given["features"])
scaler = StandardScaler().fit(features)
train, others = scaler.transform(features), scaler.transform(np.array(given["others"]))
C = given["C"]
labels = np.array(given["labels"])
share = np.array(given["weights"])[labels]


def logistic(gold, **fitting):
    model = LogisticRegression(C=C, tol=1e-9, max_iter=10_000).fit(train, gold, **fitting)
    return model.decision_function(others)


result = {
    "classes": logistic(labels, sample_weight=share).tolist(),
    "sets": np.stack([logistic(column) for column in np.array(given["sets"]).T], axis=1).tolist(),
    # Their penalty is alpha · |w|², ours |w|² / (2 · C).
    "scores": Ridge(alpha=1 / (2 * C)).fit(train, np.array(given["scores"])).predict(others)[:, None].tolist(),
}
Path(sys.argv[2]).write_text(json.dumps(result))
