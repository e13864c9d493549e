"""Makes test/golden/roberta/: what make_bert.py makes, of a tiny random RoBERTa. Its checkpoint has no pooler: where one is
read, it is part of the case.

Run: node tools/reference/run.mjs make_roberta.py
"""

import json

from transformers import RobertaConfig, RobertaForSequenceClassification

from make_bert import make, sizes

merges = ["Ġ w"] + [f"{start} {digit}" for start in ("Ġw", "w") for digit in range(10)]
pieces = ["<s>", "<pad>", "</s>", "<unk>", "Ġ", "a", "w"] + [str(digit) for digit in range(10)]
pieces += [merge.replace(" ", "") for merge in merges] + ["b", "<mask>"]
assert len(pieces) == sizes["vocab_size"], len(pieces)
make(
    RobertaConfig(**sizes, max_position_embeddings=26, type_vocab_size=1, layer_norm_eps=1e-5),
    RobertaForSequenceClassification,
    "RobertaModel",
    {
        "vocab.json": json.dumps({piece: id for id, piece in enumerate(pieces)}) + "\n",
        "merges.txt": "#version: 0.2\n" + "\n".join(merges) + "\n",
    },
)
