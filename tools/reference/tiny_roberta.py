"""Writes a tiny random RoBERTa that reads any text: byte-level tokens without merges, outputs that depend on every token.

Usage: tiny_roberta.py FOLDER
"""

import json
import sys
from pathlib import Path

import torch
from transformers import RobertaConfig, RobertaModel

folder = Path(sys.argv[1])
torch.manual_seed(4242)
# The alphabet of byte-level BPE: printable bytes stand for themselves, the others for characters from 256.
printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
alphabet = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]
pieces = ["<s>", "<pad>", "</s>", "<unk>", *alphabet, "<mask>"]
config = RobertaConfig(
    vocab_size=len(pieces),
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=514,
    type_vocab_size=1,
    layer_norm_eps=1e-5,
    initializer_range=0.2,
)
RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
(folder / "vocab.json").write_text(json.dumps({piece: id for id, piece in enumerate(pieces)}))
(folder / "merges.txt").write_text("#version: 0.2\n")
