"""TF-IDF + logistic regression by scikit-learn: reads {train, labels, test, C}, writes the scores of each test text."""

import json
import sys
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

given = json.loads(Path(sys.argv[1]).read_text())
vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
train, test = vectorizer.fit_transform(given["train"]), vectorizer.transform(given["test"])
decisions = [
    LogisticRegression(C=c, tol=1e-6, max_iter=1_000).fit(train, given["labels"]).decision_function(test).tolist()
    for c in given["C"]
]
Path(sys.argv[2]).write_text(json.dumps(decisions))
