"""Makes a DeBERTa v3 checkpoint of base size with random weights and few words, for speed and memory.

  random_deberta.py FOLDER
"""

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import DebertaV2Config, DebertaV2Model

folder = Path(sys.argv[1])
torch.manual_seed(1)
# microsoft/deberta-v3-base but for its 128,100 words: a step reads those of its batch alone.
config = DebertaV2Config(
    vocab_size=30522, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072,
    relative_attention=True, position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True,
    pos_att_type=["p2c", "c2p"], max_relative_positions=-1, position_biased_input=False, type_vocab_size=0,
)
DebertaV2Model(config).save_pretrained(folder)
pieces = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
pieces += [f"w{i}" for i in range(config.vocab_size - len(pieces))]
tokenizer = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
tokenizer.add_special_tokens(pieces[:5])
tokenizer.save(str(folder / "tokenizer.json"))
