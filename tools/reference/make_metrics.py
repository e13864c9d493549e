"""Cases for src/metrics, scored by the reference implementations: scikit-learn, scipy, seqeval (default mode),
transformers' squad_metrics.py and lm-eval's super_glue.

  make_metrics.py              adversarial and random cases to test/golden/metrics.json
  make_metrics.py SEED OUT     random cases from a fresh seed, and every code point in an answer, to OUT
"""

import contextlib
import json
import random
import sys
import unicodedata
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from scipy.stats import pearsonr, spearmanr
from seqeval.metrics import accuracy_score as tag_accuracy
from seqeval.metrics import classification_report
from seqeval.metrics import f1_score as span_f1
from seqeval.metrics import precision_score as span_precision
from seqeval.metrics import recall_score as span_recall
from seqeval.metrics.sequence_labeling import get_entities
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    matthews_corrcoef,
    mean_absolute_error,
    mean_squared_error,
    precision_recall_fscore_support,
    recall_score,
)
from wheels import functions

warnings.simplefilter("ignore")
np.seterr(all="ignore")
squad = functions("transformers/data/metrics/squad_metrics.py")
best_of = functions("lm_eval/api/metrics.py")["metric_max_over_ground_truths"]
record = functions(
    "lm_eval/tasks/super_glue/record/util.py",
    squad_metrics=SimpleNamespace(**squad),
    metric_max_over_ground_truths=best_of,
)
multirc = functions("lm_eval/tasks/super_glue/multirc/t5_utils.py")
cb = functions("lm_eval/tasks/super_glue/cb/aggregate.py")

seed, out = (int(sys.argv[1]), Path(sys.argv[2])) if len(sys.argv) > 1 else (5, None)
rng = random.Random(seed)
cases = {name: [] for name in ["classification", "multiLabel", "regression", "spans", "words", "answers", "multiRC", "record"]}


def table(columns):
    """Rows of precision, recall, F1 and support."""
    return [dict(zip(["precision", "recall", "f1", "support"], map(float, row))) for row in zip(*columns)]


def classification(labels, predicted, gold, positive=1, outside=0):
    macro, weighted, micro = (
        f1_score(gold, predicted, average=average, zero_division=0) for average in ["macro", "weighted", "micro"]
    )
    inside = [(p, g) for p, g in zip(predicted, gold) if g != outside]
    expected = {
        "accuracy": accuracy_score(gold, predicted),
        "macroF1": macro,
        "weightedF1": weighted,
        "microF1": micro,
        "f1": f1_score(gold, predicted, labels=[positive], average="macro", zero_division=0),
        "matthews": matthews_corrcoef(gold, predicted),
        "inScopeAccuracy": float(np.mean([p == g for p, g in inside])) if inside else 0,
        "outOfScopeRecall": recall_score(gold, predicted, labels=[outside], average="macro", zero_division=0),
    }
    rows = table(precision_recall_fscore_support(gold, predicted, labels=range(labels), zero_division=0))
    case = {"numLabels": labels, "predicted": predicted, "gold": gold, "positiveLabel": positive,
            "outOfScopeLabel": outside, "expected": expected, "perLabel": rows}
    if labels == 3:
        case["cbF1"] = cb["cb_multi_fi"](list(zip(predicted, gold)))
    cases["classification"].append(case)


def multi_label(probabilities, gold, threshold):
    """Gold as 0 and 1; the best threshold by trying every one."""
    scores, right = np.array(probabilities), np.array(gold)
    predicted = (scores >= threshold).astype(int)
    options = {"zero_division": 0}
    expected = {
        "microF1": f1_score(right, predicted, average="micro", **options),
        "macroF1": f1_score(right, predicted, average="macro", **options),
        "samplesF1": f1_score(right, predicted, average="samples", **options),
        "subsetAccuracy": accuracy_score(right, predicted),
    }
    cuts = [f1_score(right, (scores >= cut).astype(int), average="micro", **options) for cut in np.unique(scores)]
    rows = table(precision_recall_fscore_support(right, predicted, **options))
    cases["multiLabel"].append({"probabilities": probabilities, "gold": gold, "threshold": threshold,
                                "expected": expected, "perLabel": rows, "bestMicroF1": max(cuts)})


def regression(predicted, gold):
    correlations = [float(statistic(predicted, gold)[0]) for statistic in [pearsonr, spearmanr]]
    pearson, spearman = [None if np.isnan(value) else value for value in correlations]
    cases["regression"].append({"predicted": predicted, "gold": gold, "expected": {
        "pearson": pearson, "spearman": spearman,
        "mse": mean_squared_error(gold, predicted), "mae": mean_absolute_error(gold, predicted)}})


def spans(predicted, gold, without="V"):
    """seqeval knows IOBES only, so it reads BILOU's last and only words under their names there."""
    def iobes(sentences):
        return [[{"L": "E", "U": "S"}.get(tag[0], tag[0]) + tag[1:] for tag in tags] for tags in sentences]

    def report(predicted, gold):
        rows = classification_report(gold, predicted, output_dict=True, zero_division=0)
        return {name: {"precision": float(row["precision"]), "recall": float(row["recall"]),
                       "f1": float(row["f1-score"]), "support": int(row["support"])} for name, row in rows.items()}

    def has_spans(*lists):
        return any(get_entities(tags) for tags in lists)

    def rest(sentences):
        return [["O" if tag[2:] == without else tag for tag in tags] for tags in sentences]

    p, g = iobes(predicted), iobes(gold)
    options = {"zero_division": 0}
    case = {"predicted": predicted, "gold": gold, "without": without, "expected": {
        "f1": span_f1(g, p, **options), "precision": span_precision(g, p, **options),
        "recall": span_recall(g, p, **options), "tagAccuracy": tag_accuracy(g, p)},
        "spans": [[{"type": t, "start": start, "end": end + 1} for t, start, end in get_entities(tags)] for tags in p],
        # seqeval has no report of nothing.
        "report": report(p, g) if has_spans(p, g) else None,
        "reportWithout": report(rest(p), rest(g)) if has_spans(rest(p), rest(g)) else None}
    cases["spans"].append(case)


def words(text):
    cases["words"].append({"text": text, "words": squad["normalize_answer"](text).split()})


def answers(questions, threshold):
    """Questions as (predicted, no-answer score, gold answers)."""
    examples = [SimpleNamespace(qas_id=i, answers=[{"text": text} for text in gold])
                for i, (_, _, gold) in enumerate(questions)]
    predictions = {i: text for i, (text, _, _) in enumerate(questions)}
    no_answer = {i: score for i, (_, score, _) in enumerate(questions)}
    expected = squad["squad_evaluate"](examples, predictions, no_answer, threshold)
    cases["answers"].append({"threshold": threshold, "expected": expected, "questions": [
        {"predicted": text, "noAnswerScore": score, "gold": gold} for text, score, gold in questions]})


def multi_rc(rows):
    """Rows of (question, predicted, gold)."""
    questions = {}
    for question, predicted, gold in rows:
        questions.setdefault(question, []).append((predicted, gold))
    expected = {
        "f1a": multirc["agg_f1"]([(predicted, gold) for _, predicted, gold in rows]),
        "f1m": np.mean([f1_score([g for _, g in pairs], [p for p, _ in pairs], average="macro")
                        for pairs in questions.values()]),
        "exactMatch": multirc["agg_em"](rows),
    }
    cases["multiRC"].append({"rows": rows, "expected": expected})


def record_queries(queries):
    """Queries as ({candidate: score}, gold answers); lm-eval sorts the candidates, here as JavaScript sorts strings."""
    def score(candidates, gold):
        entities = sorted(candidates, key=lambda text: text.encode("utf-16-be"))
        return record["process_results"]({"entities": entities, "answers": gold}, [(candidates[e],) for e in entities])

    scores = [score(candidates, gold) for candidates, gold in queries]
    cases["record"].append({
        "queries": [{"candidates": [{"text": text, "score": score} for text, score in candidates.items()],
                     "answers": gold} for candidates, gold in queries],
        "expected": {"f1": np.mean([score["f1"] for score in scores]),
                     "exactMatch": np.mean([score["em"] for score in scores])}})


def draw_classification():
    labels, count = rng.randint(2, 6), rng.randint(1, 40)
    used = rng.sample(range(labels), rng.randint(1, labels))
    gold = [rng.choice(used) for _ in range(count)]
    predicted = [g if rng.random() < 0.6 else rng.randrange(labels) for g in gold]
    classification(labels, predicted, gold, rng.randrange(labels), rng.randrange(labels))


def draw_multi_label():
    labels, count = rng.randint(2, 5), rng.randint(1, 15)
    digits = rng.choice([1, 2, 6])
    gold = [[int(rng.random() < 0.3) for _ in range(labels)] for _ in range(count)]
    probabilities = [[round(min(1, max(0, 0.35 + 0.3 * g + rng.gauss(0, 0.2))), digits) for g in row] for row in gold]
    multi_label(probabilities, gold, rng.choice([0.3, 0.5, 0.7]))


def draw_regression():
    count = rng.randint(2, 30)
    # A spread of 1e-12 of the mean is beyond scipy: it differs from exact arithmetic by more than 1e-9.
    scale, offset, ties = 10 ** rng.uniform(-3, 6), rng.choice([0, 3, 1e6]), rng.random() < 0.5
    gold = [rng.randint(0, 5) if ties else rng.gauss(0, 1) for _ in range(count)]
    regression([offset + scale * (g + rng.gauss(0, 0.5)) for g in gold],
               [offset + g for g in gold])


TYPES = ["PER", "LOC", "A0", "C-A1", "V"]


def draw_spans():
    prefixes, types = rng.choice(["BI", "BIES", "BILU"]), rng.sample(TYPES, rng.randint(1, 4))

    def draw(length):
        tags = []
        for _ in range(length):
            stays = tags and tags[-1] != "O" and rng.random() < 0.5
            kind = tags[-1][2:] if stays else rng.choice(types)
            tags.append("O" if not stays and rng.random() < 0.4 else f"{rng.choice(prefixes)}-{kind}")
        return tags

    gold = [draw(rng.randint(1, 9)) for _ in range(rng.randint(1, 6))]
    predicted = [tags if rng.random() < 0.3 else [tag if rng.random() < 0.7 else draw(1)[0] for tag in tags]
                 for tags in gold]
    spans(predicted, gold)


PIECES = ["a", "an", "the", "The", "THE", "A", "cat", "Cat", "cats", "22", "3rd", "x", " ", " ", " ", "  ", "\t", "\n",
          "\u00a0", "\u3000", "\u200b", "\ufeff", "\x1c", "\x85", "\u2009", "-", "_", "'", "’", ".", ",", "$", "@", "[",
          "^", "`", "{", "~", "–", "“", "。", "，", "é", "e\u0301", "\u0301", "İ", "ẞ", "ΟΔΟΣ", "Σ", "ǅ", "²", "½", "Ⅷ",
          "٣", "猫", "the猫", "Ｔｈｅ", "ａ", "😀", "👩‍👧", "🇫🇷", "𝒶", "ª"]


def draw_text(most=6):
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, most)))


def draw_answers():
    def one():
        gold = [draw_text() for _ in range(rng.choice([0, 1, 1, 2, 3]))]
        predicted = rng.choice([rng.choice([*gold, ""]), draw_text(), "the " + rng.choice([*gold, ""]).upper()])
        return predicted, rng.choice([rng.random(), round(rng.random(), 1)]), gold

    questions = [one() for _ in range(rng.randint(2, 12))]
    # The reference divides by the number of answerable questions.
    answers([*questions, ("cat", rng.random(), ["a cat"])], rng.choice([1.0, 0.5, 0.2]))


def draw_multi_rc():
    rows = []
    for question in range(rng.randint(1, 6)):
        share = rng.choice([0, 0.2, 0.5, 1])
        for _ in range(rng.randint(1, 6)):
            gold = int(rng.random() < 0.4)
            rows.append((f"q{question}", int(rng.random() < 0.5) if rng.random() < share else gold, gold))
    rng.shuffle(rows)
    multi_rc(rows)


def draw_record():
    def one():
        gold = [draw_text() for _ in range(rng.randint(1, 3))]
        entities = [draw_text() for _ in range(rng.randint(0, 4))] + [rng.choice(gold)]
        return {entity: round(rng.random(), 1) for entity in entities}, gold

    record_queries([one() for _ in range(rng.randint(1, 8))])


if out is None:
    for predicted, gold in [([0, 1], [0, 1]), ([1, 0], [0, 1]), ([1], [1]), ([0, 0, 0], [0, 1, 1]), ([0, 1, 2], [0, 0, 0]),
                            ([2, 2, 2], [2, 2, 2]), ([0, 1, 0, 1], [0, 0, 1, 1])]:
        for labels in [3, 5]:
            classification(labels, predicted, gold)
    multi_label([[0.5, 0.1]], [[1, 0]], 0.5)
    multi_label([[0.1, 0.2], [0.3, 0.4]], [[0, 0], [0, 0]], 0.5)
    multi_label([[0.9, 0.9], [0.9, 0.9]], [[1, 1], [1, 1]], 0.5)
    multi_label([[0.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 1]], 0.5)
    multi_label([[0.5, 0.5], [0.5, 0.5]], [[1, 0], [0, 1]], 0.6)
    for predicted in [[0.1, 0.1, 0.1], [1, 2, 3], [3, 2, 1], [1, 1, 2], [1e150, 2e150, 4e150], [1e-150, 2e-150, 5e-150]]:
        for gold in [[0.1, 0.1, 0.1], [1, 2, 3], [5, 5, 7], [1e8, 1e8 + 1, 1e8 + 3]]:
            regression([float(value) for value in predicted], [float(value) for value in gold])
    sentences = ["O", "B-PER", "I-PER", "I-PER I-PER", "B-PER B-PER", "I-PER B-PER", "B-PER I-LOC", "I-PER I-LOC I-PER",
                 "O I-PER O", "B-V", "I-V I-A0 B-V", "B-C-A1 I-C-A1 I-A1", "E-PER", "E-PER E-PER", "E-PER I-PER", "S-PER S-PER",
                 "S-PER I-PER E-PER", "B-PER E-PER E-PER", "B-PER S-PER", "I-PER S-PER I-PER", "B-PER I-PER O E-PER",
                 "L-PER L-PER", "U-PER U-PER", "U-PER I-PER L-PER", "B-PER L-PER L-PER", "I-PER U-PER I-PER", "B", "I", "B I I",
                 "B- I-", "S E", "B-é I-é", "B-😀 I-😀", "B-A B I-A"]
    for text in sentences:
        tags = text.split()
        outside = ["O"] * len(tags)
        for other in [tags, outside]:
            spans([tags], [other])
        spans([outside, *[["O"]] * 2], [tags, ["B-PER"], ["O"]])
    for text in ["", " ", "the", "The The", "a.m.", "A. N. Other", "an-a", "a_the", "the'a", "theatre a nan", "a\u0301 b",
                 "éa a", "1a a1 a", "猫a a猫", "a😀a", "the\u00a0cat", "the\u200bcat", "the\ufeffcat", "\x1cthe\x1fcat\x85",
                 "Ｔｈｅ　ｃａｔ", "İstanbul", "ΟΔΟΣ ΟΔΟΣ.", "$5.00", "don't", "“The” —the–", "²a a² ½a", "ªa aª", *PIECES]:
        words(text)
    answers([("", 0.0, []), ("cat", 0.5, ["The cat!", "dog"])], 1.0)
    answers([("cat", 0.9, []), ("", 0.1, ["cat"]), ("the", 0.5, ["cat"]), ("the", 0.5, ["a"])], 0.5)
    answers([("x", 0.5, []), ("y", 0.5, ["y"]), ("", 0.5, []), ("z z w", 0.5, ["z w w"])], 0.4)
    answers([("y", 0.3, ["y"]), ("x", 0.3, [])] * 3, 1.0)
    answers([("a b c", 0.0, ["b c d", "c", ""])], 1.0)
    multi_rc([("q", 0, 0), ("q", 0, 0)])
    multi_rc([("q", 1, 1), ("r", 0, 1), ("q", 1, 0), ("r", 0, 1)])
    record_queries([({"The": 0.5, "cat": 0.5}, ["A", "dog"]), ({"b": 1, "a": 1}, ["a"])])
for _ in range(15 if out is None else 60):
    draw_classification()
    draw_multi_label()
    draw_regression()
    draw_spans()
    words(draw_text(12))
    # The reference prints nothing of use here.
    with contextlib.redirect_stdout(sys.stderr):
        draw_answers()
    draw_multi_rc()
    draw_record()
if out is not None:
    for code in range(0x110000):
        if unicodedata.category(chr(code)) not in {"Cn", "Co", "Cs"}:
            words(f"a{chr(code)}a {chr(code)}The x{chr(code)}x")

target = out or Path(__file__).resolve().parents[2] / "test" / "golden" / "metrics.json"
lines = ",\n".join(
    f'"{name}": [\n' + ",\n".join(json.dumps(case, default=float, allow_nan=False) for case in rows) + "\n]"
    for name, rows in cases.items()
)
target.write_text(f"{{{lines}}}\n")
print({name: len(rows) for name, rows in cases.items()}, target.stat().st_size, "bytes")
