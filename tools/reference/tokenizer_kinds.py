"""Tokenizers of every kind as their references build them from the files of official repositories.

SentencePiece itself answers for DeBERTa v2, XLM-RoBERTa and CamemBERT, transformers 4.33.3 for the others. Run in the
environment for tokenizers (`run.mjs --tokenizers`).
"""

import io
import itertools
import json
import re
import unicodedata
from pathlib import Path

import sentencepiece
import transformers
from tokenizers import AddedToken, BertWordPieceTokenizer, ByteLevelBPETokenizer, processors

BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
GLM = ["<|startofpiece|>", "<|endofpiece|>", "[CLS]", "[MASK]", "[SEP]", "[UNUSED]", "[gMASK]", "[sMASK]"]
MASKS = {"[MASK]", "[gMASK]", "[sMASK]"}


def write(folder, model_type, **files):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False))


def train_sentencepiece(path, texts, size, **options):
    # On one thread, as the order of sums matters; through a writer, as a model says where it was written.
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=size,
        num_threads=1,
        minloglevel=2,
        hard_vocab_limit=False,
        **options,
    )
    path.write_bytes(model.getvalue())


def train(root, texts, size=8000, rules={}):
    """Writes a folder for each kind; `rules` are the normalisation of SentencePiece, its own where it is empty."""
    # What is no text to the trainers: separators inside a line, and control characters.
    texts = [text for text in texts if text.strip() and "\0" not in text and "\n" not in text]
    texts = [text for text in texts if len(text.encode()) < 4000]
    write(root / "deberta-v2", "deberta-v2", tokenizer_config={"do_lower_case": False, "vocab_type": "spm"})
    special = {"unk_id": 3, "unk_piece": "[UNK]", "pad_id": 0, "pad_piece": "[PAD]"}
    ends = {"bos_id": 1, "bos_piece": "[CLS]", "eos_id": 2, "eos_piece": "[SEP]"}
    path = root / "deberta-v2" / "spm.model"
    train_sentencepiece(path, texts, size, **special, **ends, **rules)
    # What no official model asks for, and a model of somebody's may.
    options = {"add_dummy_prefix": False, "remove_extra_whitespaces": False, "split_by_whitespace": False}
    options["user_defined_symbols"] = "<user>,ing,(a)"
    for name, more in {"options": options, "bytes": {"byte_fallback": True}}.items():
        write(root / f"deberta-v2-{name}", "deberta-v2")
        train_sentencepiece(
            root / f"deberta-v2-{name}" / "spm.model", texts, size + 256, **special, **ends, **more, **rules
        )
    for name, change in {"lower": {"do_lower_case": True}, "punct": {"split_by_punct": True}}.items():
        write(root / f"deberta-v2-{name}", "deberta-v2", tokenizer_config=change)
        (root / f"deberta-v2-{name}" / "spm.model").write_bytes(path.read_bytes())
    for kind, more in {"xlm-roberta": {}, "camembert": {}}.items():
        write(root / kind, kind)
        train_sentencepiece(root / kind / "sentencepiece.bpe.model", texts, size, **more, **rules)
    write(root / "albert", "albert")
    train_sentencepiece(
        root / "albert" / "spiece.model",
        texts,
        size,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        control_symbols="[CLS],[SEP],[MASK]",
        user_defined_symbols='(,),",-,.,–,£,€',
        **rules,
    )
    for kind, names in {
        "roberta": ["<s>", "<pad>", "</s>", "<unk>"],
        "deberta": ["[PAD]", "[CLS]", "[SEP]", "[UNK]"],
        "glm": [],
    }.items():
        trainer = ByteLevelBPETokenizer(add_prefix_space=False)
        last = {"roberta": ["<mask>"], "deberta": [], "glm": ["<|endoftext|>"]}[kind]
        trainer.train_from_iterator(texts, vocab_size=size - len(last), special_tokens=names, show_progress=False)
        added = {"added_tokens": {token: size + i for i, token in enumerate(GLM)}} if kind == "glm" else {}
        write(root / kind, kind, **added)
        trainer.save_model(str(root / kind))
        # The last special tokens of official vocabularies; DeBERTa's [MASK] too stands behind all others.
        vocab = json.loads((root / kind / "vocab.json").read_text())
        for token in last:
            vocab[token] = len(vocab)
        if kind == "glm":
            added = {token: len(vocab) + i for i, token in enumerate(GLM)}
            (root / kind / "added_tokens.json").write_text(json.dumps(added))
        (root / kind / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    trainer = BertWordPieceTokenizer(lowercase=True)
    trainer.train_from_iterator(texts, vocab_size=size, special_tokens=BERT, show_progress=False)
    for kind in ("bert", "electra", "distilbert"):
        write(root / kind, kind)
        trainer.save_model(str(root / kind))
    write(root / "bert-cased", "bert", tokenizer_config={"do_lower_case": False})
    (root / "bert-cased" / "vocab.txt").write_bytes((root / "bert" / "vocab.txt").read_bytes())


class Fast:
    """A tokenizer of transformers that the `tokenizers` library runs."""

    def __init__(self, make):
        self.tokenizer = make()
        # What transformers demands of byte-level BPE for words.
        self.words_tokenizer = make(add_prefix_space=True)

    def encode(self, texts):
        batch = self.tokenizer._tokenizer.encode_batch(texts, add_special_tokens=False)
        return [(encoding.ids, encoding.offsets) for encoding in batch]

    def words(self, words):
        batch = self.words_tokenizer._tokenizer.encode_batch(
            [[word] for word in words], is_pretokenized=True, add_special_tokens=False
        )
        return [encoding.ids for encoding in batch]

    def pair(self, first, second):
        encoding = self.tokenizer._tokenizer.encode(first, second)
        return encoding.ids, encoding.type_ids


def is_edge(character):
    return character.isspace() or unicodedata.category(character)[0] in "ZCM"


def cover(text, begin, end):
    """The characters of a piece without blanks, control characters and accents at its ends.

    SentencePiece gives the blanks between words to a piece, and of several pieces that one character became the
    character to the last only.
    """
    end = max(end, min(begin + 1, len(text)))
    while begin < end and is_edge(text[begin]):
        begin += 1
    while begin < end and is_edge(text[end - 1]):
        end -= 1
    return (begin, end) if begin < end else (-1, -1)


class Pieces:
    """SentencePiece, with ids as `shift` maps them; `slow` is transformers' class around it, for special tokens."""

    def __init__(self, path, slow, shift):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self.slow, self.shift = slow, shift
        slow.sanitize_special_tokens()
        tokens = sorted(slow.all_special_tokens, key=len, reverse=True)
        self.special = re.compile("|".join(re.escape(token) for token in tokens))

    def scores(self):
        """The logarithm of each piece's probability, by id."""
        count = self.pieces.GetPieceSize()
        return {self.shift(id): self.pieces.GetScore(id) for id in range(count)}

    def encode(self, texts):
        return [self.encode_one(text) for text in texts]

    def encode_one(self, text):
        if self.special.search(text):
            # SentencePiece itself knows nothing of special tokens inside a text: no places then.
            return self.slow.convert_tokens_to_ids(self.slow.tokenize(text)), None
        found = self.pieces.encode(text, out_type="immutable_proto").pieces
        return [self.shift(piece.id) for piece in found], [cover(text, piece.begin, piece.end) for piece in found]

    def words(self, words):
        return [self.encode_one(word)[0] for word in words]

    def pair(self, first, second):
        first, second = (self.encode_one(text)[0] for text in (first, second))
        slow = self.slow
        ids = slow.build_inputs_with_special_tokens(first, second)
        return ids, slow.create_token_type_ids_from_sequences(first, second)


class Changed(Pieces):
    """DeBERTa v2 that writes small, or splits punctuation off: transformers' class, which has no places."""

    def encode_one(self, text):
        return self.slow.convert_tokens_to_ids(self.slow.tokenize(text)), None


def open_kind(root, name):
    """The reference for the files that `train` wrote."""
    folder = root / name
    settings = folder / "tokenizer_config.json"
    options = json.loads(settings.read_text()) if settings.exists() else {}
    path = lambda file: str(folder / file)
    bpe = lambda: {"vocab_file": path("vocab.json"), "merges_file": path("merges.txt")}
    if name.startswith("deberta-v2"):
        slow = transformers.DebertaV2Tokenizer(path("spm.model"), **options)
        of = Changed if options.get("do_lower_case") or options.get("split_by_punct") else Pieces
        return of(path("spm.model"), slow, lambda id: id)
    if name == "xlm-roberta":
        slow = transformers.XLMRobertaTokenizer(path("sentencepiece.bpe.model"))
        return Pieces(path("sentencepiece.bpe.model"), slow, lambda id: 3 if id == 0 else id + 1)
    if name == "camembert":
        slow = transformers.CamembertTokenizer(path("sentencepiece.bpe.model"))
        return Pieces(path("sentencepiece.bpe.model"), slow, lambda id: 3 if id == 0 else id + 4)

    def make(**more):
        if name == "glm":
            tokenizer = transformers.GPT2TokenizerFast(**bpe(), **more)
            tokens = [AddedToken(token, lstrip=token in MASKS, normalized=False) for token in GLM]
            tokenizer._tokenizer.add_special_tokens(tokens)
            ends = [(token, tokenizer._tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]", "<|endoftext|>")]
            tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
                "[CLS] $A <|endoftext|>", "[CLS] $A [SEP] $B <|endoftext|>", ends
            )
            return tokenizer
        if name == "albert":
            tokenizer = transformers.AlbertTokenizerFast(path("spiece.model"), **options)
        elif name == "roberta":
            tokenizer = transformers.RobertaTokenizerFast(**bpe(), **more)
        elif name == "deberta":
            tokenizer = transformers.DebertaTokenizerFast(**bpe(), **more)
        else:
            tokenizer = transformers.BertTokenizerFast(path("vocab.txt"), **options)
        tokenizer.sanitize_special_tokens()
        return tokenizer

    return Fast(make)


def utf16(text, offsets):
    """Code points → UTF-16 units, flat."""
    if offsets is None:
        return None
    if text == "" or max(text) <= "\uffff":
        return [unit for pair in offsets for unit in pair]
    units = [0, *itertools.accumulate(2 if ord(character) > 0xFFFF else 1 for character in text)]
    return [point if point < 0 else units[point] for pair in offsets for point in pair]


def read_lines(path):
    # Not splitlines: texts hold separators of their own kind.
    return [json.loads(line) for line in Path(path).read_text().split("\n") if line]
