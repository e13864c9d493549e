"""Means of every layer by transformers: reads {folder, texts: lists of token ids}, writes for each text the means over its
tokens of the embeddings and of every layer's output, each brought to length 1, side by side."""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModel

given = json.loads(Path(sys.argv[1]).read_text())
model = AutoModel.from_pretrained(given["folder"], dtype=torch.float64).eval()
with torch.no_grad():
    result = []
    for ids in given["texts"]:
        states = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
        means = [layer[0].mean(0) for layer in states]
        result.append(torch.cat([mean / mean.norm() for mean in means]).tolist())
Path(sys.argv[2]).write_text(json.dumps(result))
