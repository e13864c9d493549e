"""Mean-pooled vectors of length 1 by transformers: embed.py FOLDER TEXTS, TEXTS a JSON list. Prints a JSON list."""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

folder, texts = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
vectors = []
with torch.no_grad():
    for start in range(0, len(texts), 16):
        batch = tokenizer(texts[start : start + 16], padding=True, truncation=True, max_length=512, return_tensors="pt")
        states = model(**batch).last_hidden_state
        share = batch["attention_mask"][:, :, None].float()
        pooled = (states * share).sum(1) / share.sum(1)
        vectors += torch.nn.functional.normalize(pooled, dim=1).tolist()
print(json.dumps(vectors))
