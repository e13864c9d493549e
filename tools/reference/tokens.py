"""Encodings by the Python library of the tokenizers, for comparison with ours.

  tokens.py train FOLDER TEXTS             trains a byte-level BPE and a Unigram tokenizer, small ones
  tokens.py encode TOKENIZER TEXTS OUT     TOKENIZER is a tokenizer.json; see `chunk_arrays`
  tokens.py show TOKENIZER TEXTS OUT CHUNK the arrays of one chunk in full

TEXTS holds one JSON string a line. Texts go in chunks of 256; `encode` writes a SHA-256 of each chunk's arrays. Every text
is encoded whole; of words those that no text before had; pairs in every eighth chunk.
"""

import hashlib
import itertools
import json
import sys
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

CHUNK, PAIR_LENGTH, PAIR_EVERY = 256, 128, 8


def train(folder, texts):
    special = ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, normalized=False)]
    # As RobertaConverter and XLMRobertaConverter in transformers lay them out.
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    byte_level.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=8000, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    byte_level.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    (folder / "byte-level").mkdir()
    byte_level.save(str(folder / "byte-level.json"))
    # Ours is given the two files of older checkpoints, and no definition.
    byte_level.model.save(str(folder / "byte-level"))

    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    unigram.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    unigram.train_from_iterator(
        texts, trainers.UnigramTrainer(vocab_size=8000, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    unigram.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    (folder / "unigram").mkdir()
    unigram.save(str(folder / "unigram" / "tokenizer.json"))


def utf16_indices(text):
    """Index in UTF-16 units of each code point, and of the end."""
    return [0, *itertools.accumulate(2 if ord(character) > 0xFFFF else 1 for character in text)]


def chunk_arrays(tokenizer, words_tokenizer, texts, seen, with_pairs):
    """Each text whole; its new words; each with its successor as a pair cut to 128 tokens."""
    pairs = []
    if with_pairs:
        tokenizer.enable_truncation(PAIR_LENGTH)
        pairs = tokenizer.encode_batch(list(zip(texts, texts[1:] + texts[:1])))
        tokenizer.no_truncation()
    whole = tokenizer.encode_batch(texts, add_special_tokens=False)
    sentences = []
    for text in texts:
        # In order, and as often as the text has them.
        sentences.append([word for word in text.split(" ") if word not in seen])
        seen.update(sentences[-1])
    words = words_tokenizer.encode_batch(sentences, is_pretokenized=True, add_special_tokens=False)
    offsets = []
    for text, encoding in zip(texts, whole):
        units = utf16_indices(text) if text and max(text) > "\uffff" else range(len(text) + 1)
        offsets.append([units[i] for pair in encoding.offsets for i in pair])
    flat = lambda lists: np.fromiter(itertools.chain.from_iterable(lists), dtype=np.int32)
    return {
        "pair lengths": np.array([len(e) for e in pairs], dtype=np.int32),
        "pair ids": flat(e.ids for e in pairs),
        "pair type ids": flat(e.type_ids for e in pairs),
        "text lengths": np.array([len(e) for e in whole], dtype=np.int32),
        "text ids": flat(e.ids for e in whole),
        "text offsets": flat(offsets),
        "word piece counts": np.array([len(e) for e in words], dtype=np.int32),
        "word piece ids": flat(e.ids for e in words),
        "word ids": flat(e.word_ids for e in words),
    }


def encode(definition, texts, out, shown=None):
    tokenizer, words_tokenizer = Tokenizer.from_file(definition), Tokenizer.from_file(definition)
    for each in (tokenizer, words_tokenizer):
        each.no_padding()
        each.no_truncation()
    if isinstance(words_tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        # What transformers demands for is_split_into_words.
        words_tokenizer.pre_tokenizer.add_prefix_space = True
    results, seen = [], set()
    for start in range(0, len(texts), CHUNK):
        with_pairs = start // CHUNK % PAIR_EVERY == 0
        arrays = chunk_arrays(tokenizer, words_tokenizer, texts[start : start + CHUNK], seen, with_pairs)
        if start // CHUNK == shown:
            results.append({name: array.tolist() for name, array in arrays.items()})
        elif shown is None:
            results.append({name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()})
    Path(out).write_text(json.dumps(results))


mode, place, texts_path, *out = sys.argv[1:]
# Not splitlines: texts hold separators of their own kind.
texts = [json.loads(line) for line in Path(texts_path).read_text().split("\n") if line]
if mode == "train":
    train(Path(place), texts)
else:
    encode(place, texts, out[0], *map(int, out[1:]))
