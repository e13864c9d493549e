"""What transformers' masked language model computes with a checkpoint folder that we wrote, as JSON: logits at masks.

Usage: lm_checkpoint_live.py FOLDER BATCH OUT
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

folder, batch_path, out = sys.argv[1:]
batch = {name: value.long() for name, value in load_file(batch_path).items()}
model, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
model.eval()
with torch.no_grad():
    logits = model(input_ids=batch["ids"], token_type_ids=batch["types"], attention_mask=batch["mask"]).logits
rows = torch.arange(len(logits))
result = {
    "class": type(model).__name__,
    "missing": sorted(info["missing_keys"]),
    "unexpected": sorted(info["unexpected_keys"]),
    "logits": logits[rows, batch["marks"]][:, batch["words"]].tolist(),
}
Path(out).write_text(json.dumps(result))
