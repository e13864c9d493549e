"""Small vocabularies of every kind of tokenizer, and what the references of `tokenizer_kinds.py` make of odd texts with them.

They are trained on the text of the licence and on the odd texts. Run: node tools/reference/run.mjs --tokenizers make_tokenizers.py
"""

import json
import os
import shutil
import tempfile
import unicodedata
from pathlib import Path

from tokenizer_kinds import open_kind, train, utf16

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "test" / "golden" / "tokenizers"
KINDS = ["deberta-v2", "deberta-v2-lower", "deberta-v2-punct", "deberta-v2-options", "deberta-v2-bytes"]
KINDS += ["xlm-roberta", "camembert", "albert"]
KINDS += ["roberta", "deberta", "glm", "bert", "bert-cased", "electra", "distilbert"]
LONGEST = 300
SIZE = 420


def rules(path):
    """SentencePiece's own rules fill 240 kB: these are those of them that the texts need."""
    lines = []

    def rule(source, target):
        lines.append(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target))

    for code in [0x9, 0xA, 0x85, 0xA0, 0x2028, 0x3000]:
        rule(chr(code), " ")
    for code in [0xAD, 0x200B, 0x200D, 0xFEFF, 0x1B, 0x7F, 0x80]:
        rule(chr(code), "")
    singles = [*range(0xFF01, 0xFF5E), *range(0xFF66, 0xFF9E), *range(0x1D400, 0x1D4FF)]
    for code in [*singles, 0xBD, 0xB2, 0x2122, 0x2460, 0x2126, 0x212B, 0xFB01, 0xFB03, 0x1C5, 0x340, 0x341, 0x2026]:
        if (target := unicodedata.normalize("NFKC", chr(code))) != chr(code):
            rule(chr(code), target)
    for letter in "AEINOUaeinoucgz":
        ones = ("\u0300", "\u0301", "\u0302", "\u0303", "\u0308", "\u030a", "\u0323")
        for accents in (*ones, "\u0302\u0301", "\u0302\u0300", "\u0302\u0323", "\u0323\u0302"):
            if len(target := unicodedata.normalize("NFKC", letter + accents)) == 1:
                rule(letter + accents, target)
    rule("\u1112\u1161\u11ab", "\ud55c")
    path.write_text("\n".join(sorted(lines)) + "\n")
    return {"normalization_rule_tsv": str(path)}


def main():
    lines = (ROOT / "LICENSE").read_text().split("\n")
    texts = [text for text in json.loads((OUT / "texts.json").read_text()) if len(text) <= LONGEST]
    for old in OUT.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    with tempfile.TemporaryDirectory() as folder:
        # A model says where its rules came from.
        os.chdir(folder)
        train(OUT, lines + texts, SIZE, rules(Path("rules.tsv")))
    goldens = {}
    for kind in KINDS:
        reference = open_kind(OUT, kind)
        encoded = reference.encode(texts)
        words = [text.split(" ") for text in texts]
        goldens[kind] = {
            # Of the bytes of a character SentencePiece gives the character to the last, the library to each.
            "texts": [
                [ids, None if kind == "deberta-v2-bytes" else utf16(text, offsets)]
                for text, (ids, offsets) in zip(texts, encoded)
            ],
            "pairs": [reference.pair(first, second) for first, second in zip(texts, texts[1:])],
            "words": [[id for ids in reference.words(each) for id in ids] for each in words],
        }
    # What has the same content lies there once: the test puts it where it belongs.
    for copy in ("deberta-v2-lower", "deberta-v2-punct", "camembert"):
        for file in (OUT / copy).glob("*.model"):
            file.unlink()
    for copy in ("bert-cased", "electra", "distilbert"):
        (OUT / copy / "vocab.txt").unlink()
    (OUT / "goldens.json").write_text(json.dumps({"longest": LONGEST, "kinds": goldens}, separators=(",", ":")) + "\n")


main()
