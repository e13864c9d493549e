"""Cases for src/sweeps/importance.ts: one-way analyses of variance by scipy (F → η²) and by scikit-learn (R² of a
regression on indicator variables), to test/golden/importance.json."""

import json
from pathlib import Path

import numpy as np
from scipy.stats import f_oneway
from sklearn.linear_model import LinearRegression

rng = np.random.default_rng(11)
cases = []
for trials in (6, 12, 24, 108):
    points = {
        "training.learningRate": rng.choice([1e-3, 5e-3, 1e-2], trials).tolist(),
        "method.promptLength": rng.choice([4, 8, 16, 32, 64, 128], trials).tolist(),
        "method.reparameterization": rng.choice(["none", "mlp"], trials).tolist(),
    }
    scores = rng.normal(0.8, 0.02, trials)
    scores += 0.05 * np.log10(np.array(points["training.learningRate"]))
    scores += 0.03 * (np.array(points["method.reparameterization"]) == "mlp")
    wanted = []
    for key, values in points.items():
        values = np.array(values)
        levels = np.unique(values)
        groups = [scores[values == level] for level in levels]
        between, within = len(levels) - 1, trials - len(levels)
        indicators = (values[:, None] == levels[None, :]).astype(float)
        explained = LinearRegression().fit(indicators, scores).score(indicators, scores)
        if within > 0:
            f = f_oneway(*groups).statistic
            assert abs(f * between / (f * between + within) - explained) < 1e-9
            adjusted = max(0.0, 1 - (1 - explained) * (trials - 1) / within)
        else:
            adjusted = None
        wanted.append({"key": key, "levels": len(levels), "explained": explained, "adjusted": adjusted})
    cases.append({"points": points, "scores": scores.tolist(), "wanted": wanted})

path = Path(__file__).parents[2] / "test/golden/importance.json"
path.write_text(json.dumps(cases) + "\n")
