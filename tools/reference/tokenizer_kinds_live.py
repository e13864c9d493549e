"""What the references of `tokenizer_kinds.py` say about texts, for comparison with ours.

  tokenizer_kinds_live.py train FOLDER TEXTS SIZE       trains a vocabulary of each kind
  tokenizer_kinds_live.py encode FOLDER KIND TEXTS OUT  a line for each text: a hash of its ids, one of its places

TEXTS holds one JSON string a line. Then follow lines for pairs (each 16th text and the one behind it) and for words (each
32nd text, cut at blanks; the second hash is of the ids in the order of their size).  With indices behind OUT, lines are the numbers themselves, of those texts only.  Where SentencePiece
is the reference, FOLDER/KIND/scores.json has the scores of its pieces.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from tokenizer_kinds import open_kind, read_lines, train, utf16

PAIR_EVERY, WORDS_EVERY, CHUNK = 16, 32, 4096


def short(numbers):
    return None if numbers is None else hashlib.sha256(np.array(numbers, dtype="<i4").tobytes()).hexdigest()[:16]


mode, folder, *rest = sys.argv[1:]
if mode == "train":
    train(Path(folder), read_lines(rest[0]), int(rest[1]))
    sys.exit()
kind, texts_path, out, *indices = rest
texts, reference = read_lines(texts_path), open_kind(Path(folder), kind)
if hasattr(reference, "scores"):
    Path(folder, kind, "scores.json").write_text(json.dumps(reference.scores()))
with open(out, "w") as file:
    show = (lambda numbers: numbers) if indices else short
    line = lambda *values: file.write(json.dumps([show(value) for value in values]) + "\n")
    if indices:
        texts = [texts[int(index)] for index in indices]
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        for text, (ids, offsets) in zip(chunk, reference.encode(chunk)):
            line(ids, utf16(text, offsets))
    if not indices:
        for first, second in zip(texts[::PAIR_EVERY], texts[1::PAIR_EVERY]):
            line(*reference.pair(first, second))
        words = [text.split(" ") for text in texts[::WORDS_EVERY]]
        for each in words:
            ids = [id for ids in reference.words(each) for id in ids]
            line(ids, sorted(ids))
