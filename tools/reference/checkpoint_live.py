"""What transformers computes with a checkpoint folder that we wrote: logits of a batch, as JSON. Of a batch with `marks`
(a position per text) and `words` (token ids) it is the masked language model's logits of those words there.

Usage: checkpoint_live.py FOLDER BATCH OUT
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

folder, batch_path, out = sys.argv[1:]
batch = {name: value.long() for name, value in load_file(batch_path).items()}
model_class = AutoModelForMaskedLM if "marks" in batch else AutoModelForSequenceClassification
model, info = model_class.from_pretrained(folder, output_loading_info=True)
model.eval()
with torch.no_grad():
    logits = model(input_ids=batch["ids"], token_type_ids=batch["types"], attention_mask=batch["mask"]).logits
if "marks" in batch:
    logits = logits[torch.arange(len(logits)), batch["marks"]][:, batch["words"]]
result = {
    "class": type(model).__name__,
    "labels": [model.config.id2label[i] for i in range(model.config.num_labels)],
    "missing": sorted(info["missing_keys"]),
    "unexpected": sorted(info["unexpected_keys"]),
    "tokens": AutoTokenizer.from_pretrained(folder)("w1 w2")["input_ids"],
    "logits": logits.tolist(),
}
Path(out).write_text(json.dumps(result))
