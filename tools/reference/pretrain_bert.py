"""Pretrains a tiny BERT with its masked-LM head on the texts under ../shared/data, as no checkpoint with such a head comes with
this repository: .cache/tiny-bert-mlm, a folder that `ptuning` takes as backbone.

    node tools/reference/run.mjs pretrain_bert.py [--steps N] [--minutes M] [--output FOLDER]

A WordPiece vocabulary of its own; 4 layers, hidden size 128; sequences of 64 tokens, 15 % of them masked as in BERT (Devlin
et al. 2019, section 3.1), no next-sentence task. Equal steps give equal weights on the same machine. Labels are not read, nor
are texts on which results are reported: dev and test sets of SST-2, RTE and CB are left out, of BoolQ the labelled part.
"""

import argparse
import csv
import gzip
import io
import json
import os
import shutil
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForMaskedLM

root = Path(__file__).resolve().parents[2]
shared = root.parent / "shared" / "data"
S, B, vocabulary = 64, 48, 8000
masked_share = 0.15


def read(name):
    """The lines of a file, or of its gzipped form."""
    path = shared / name
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
    with opened as file:
        yield from file


def json_lines(name, *keys):
    for line in read(name):
        row = json.loads(line)
        yield " ".join(str(row[key]) for key in keys)


def first_word_off(name):
    """Lines whose first word is a label."""
    for line in read(name):
        yield line.split(" ", 1)[1]


def table(name, column, skip=0):
    """A column of tab-separated lines."""
    for i, line in enumerate(read(name)):
        cells = line.rstrip("\n").split("\t")
        if i >= skip and len(cells) > column:
            yield cells[column]


def sentences(name, column):
    """Sentences of files with a word per line and a blank line behind each sentence."""
    words = []
    for line in read(name):
        cells = line.split()
        if not cells and words:
            yield " ".join(words)
            words = []
        elif cells and not line.startswith("#") and len(cells) > column:
            words.append(cells[column])


def news(name):
    text = "".join(read(name))
    for row in csv.reader(io.StringIO(text)):
        yield " ".join(row[1:]).replace("\\", " ")


def squad(name):
    for article in json.loads("".join(read(name)))["data"]:
        for paragraph in article["paragraphs"]:
            yield paragraph["context"]
            yield " ".join(qa["question"] for qa in paragraph["qas"])


def intents(name):
    parts = json.loads("".join(read(name)))
    for part in parts.values():
        yield from (text for text, _ in part)


def documents():
    yield from first_word_off("sst2/stsa.binary.train")
    yield from first_word_off("trec/train.txt")
    yield from news("agnews/train.subset.csv.gz")
    yield from news("agnews/test.csv.gz")
    for part in ("train.jsonl", "test.jsonl"):
        name = f"superglue-rte/{part}"
        yield from json_lines(name if (shared / name).exists() else f"{name}.gz", "premise", "hypothesis")
        yield from json_lines(f"superglue-cb/{part}", "premise", "hypothesis")
    yield from json_lines("superglue-boolq/test.jsonl.gz", "passage", "question")
    yield from json_lines("superglue-wic/train.jsonl.gz", "sentence1", "sentence2")
    for line in read("superglue-record/train.fewglue32.jsonl"):
        yield json.loads(line)["passage"]["text"]
    yield from squad("squad1-train-prefix/train-v1.1.prefix.json.gz")
    yield from squad("squad2-dev-part/dev-v2.0.json.gz")
    yield from table("sick/SICK_train.txt", 1, 1)
    yield from table("glue-stsb/sts-train.tsv", 5)
    yield from table("glue-cola/in_domain_train.tsv", 3)
    yield from table("sms-spam/SMSSpamCollection", 1)
    yield from intents("clinc150/data_full.json.gz")
    yield from read("snips/train/seq.in")
    for name in ("val", "test"):
        yield from sentences(f"wikineural-en/{name}.conllu.gz", 1)
    yield from sentences("few-nerd-inter/test.txt.gz", 0)
    yield from sentences("ewt-propbank/train.gold_conll.gz", 3)
    for line in read("mit-movie/train.gz"):
        yield " ".join(token.rsplit(":", 1)[0] for token in line.split() if ":" in token)


def chunks(tokenizer, texts):
    """[N, S]: documents in order, one behind the other, cut into sequences."""
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    rows, open_row = [], []
    for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
        ids = encoding.ids
        while ids:
            room = S - 2 - len(open_row)
            # A short text is not torn apart for a few tokens of room.
            if open_row and len(ids) > room and (len(ids) <= S - 2 or room < 8):
                rows.append(open_row)
                open_row = []
                continue
            open_row, ids = open_row + ids[:room], ids[room:]
            if len(open_row) == S - 2:
                rows.append(open_row)
                open_row = []
    rows.append(open_row)
    padded = torch.zeros(len(rows), S, dtype=torch.long)
    for i, row in enumerate(rows):
        padded[i, : len(row) + 2] = torch.tensor([cls, *row, sep])
    return padded


def masked(ids, mask_id, generator):
    """Ids with masks, and where something is to be guessed."""
    chosen = (torch.rand(ids.shape, generator=generator) < masked_share) & (ids > 4)
    how = torch.rand(ids.shape, generator=generator)
    random = torch.randint(5, vocabulary, ids.shape, generator=generator)
    given = torch.where(chosen & (how < 0.8), torch.full_like(ids, mask_id), ids)
    return torch.where(chosen & (how >= 0.9), random, given), chosen


def loss_of(model, ids, mask_id, generator):
    given, chosen = masked(ids, mask_id, generator)
    hidden = model.bert(input_ids=given, attention_mask=(ids > 0).long()).last_hidden_state
    return F.cross_entropy(model.cls(hidden[chosen]), ids[chosen])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--minutes", type=float, default=20, help="CPU minutes that it may take at most")
    parser.add_argument("--output", type=Path, default=root / ".cache" / "tiny-bert-mlm")
    options = parser.parse_args()
    if (options.output / "model.safetensors").exists():
        print(f"{options.output} is there already; remove it to make it anew.")
        return
    torch.manual_seed(2110)
    texts = [" ".join(text.split()) for text in documents()]
    print(f"{len(texts):,} texts, {sum(map(len, texts)):,} characters", flush=True)
    work = options.output.with_name(f"{options.output.name}.{os.getpid()}.tmp")
    work.mkdir(parents=True)
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(texts, vocab_size=vocabulary, min_frequency=2, show_progress=False)
    tokenizer.save_model(str(work))
    mask_id = tokenizer.token_to_id("[MASK]")
    assert tokenizer.token_to_id("[PAD]") == 0 and mask_id == 4, "special tokens come first"
    rows = chunks(tokenizer, texts)
    held_out = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))
    dev, train = rows[held_out[:500]], rows[held_out[500:]]
    print(f"{len(rows):,} sequences, {(rows > 0).sum().item():,} tokens", flush=True)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=128, num_hidden_layers=4, num_attention_heads=4,
        intermediate_size=512, max_position_embeddings=256,
    )
    # In evaluation mode: so few passes over so few texts need no dropout.
    model = BertForMaskedLM(config).eval()
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.5e-3, betas=(0.9, 0.98), eps=1e-6)
    peak, warmup = optimizer.defaults["lr"], 0.05
    generator = torch.Generator().manual_seed(7)

    def evaluate():
        with torch.no_grad():
            fixed = torch.Generator().manual_seed(3)
            return sum(loss_of(model, part, mask_id, fixed).item() for part in dev.split(100)) / 5

    started, order = time.process_time(), torch.empty(0, dtype=torch.long)
    recent, done, minutes = [], 0, 0.0
    for step in range(options.steps):
        # Linear up and down; a run that would take too long comes down sooner.
        progress = max((step + 1) / options.steps, minutes / options.minutes)
        for group in optimizer.param_groups:
            group["lr"] = peak * min(progress / warmup, (1 - progress) / (1 - warmup))
        if len(order) < B:
            order = torch.randperm(len(train), generator=generator)
        batch, order = train[order[:B]], order[B:]
        loss = loss_of(model, batch, mask_id, generator)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        recent.append(loss.item())
        done = step + 1
        minutes = (time.process_time() - started) / 60
        if done % 250 == 0 or done == options.steps:
            mean = sum(recent) / len(recent)
            print(f"step {done}: loss {mean:.3f}, held out {evaluate():.3f}, {minutes:.1f} CPU minutes", flush=True)
            recent = []
        if minutes >= options.minutes:
            break
    facts = {"steps": done, "heldOutLoss": round(evaluate(), 4), "cpuMinutes": round((time.process_time() - started) / 60, 1)}
    model.save_pretrained(work)
    (work / "generation_config.json").unlink(missing_ok=True)
    (work / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "model_max_length": 256}) + "\n")
    (work / "pretraining.json").write_text(json.dumps(facts | {"torch": torch.__version__}) + "\n")
    if options.output.exists():
        shutil.rmtree(options.output)
    work.rename(options.output)
    print(f"{options.output}: {facts}")


if __name__ == "__main__":
    main()
