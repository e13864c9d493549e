"""PEFT's side of the live exchange.

  peft_live.py load BACKBONE ADAPTER BATCH OUT    logits of an adapter folder on a batch, or the error it gives
  peft_live.py train BACKBONE FOLDER BATCH OUT [TYPE]
                                                  trains an adapter a few steps, saves it to FOLDER, its logits
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

mode, backbone, folder, batch_path, out = sys.argv[1:6]
types = {"PREFIX_TUNING": PrefixTuningConfig, "PROMPT_TUNING": PromptTuningConfig, "P_TUNING": PromptEncoderConfig}
config = types[sys.argv[6] if len(sys.argv) > 6 else "PREFIX_TUNING"]
batch = {name: value.long() for name, value in load_file(batch_path).items()}
inputs = {"input_ids": batch["ids"], "token_type_ids": batch["types"], "attention_mask": batch["mask"]}
torch.manual_seed(3)
num_labels = int(batch["labels"].max()) + 1
base = AutoModelForSequenceClassification.from_pretrained(backbone, num_labels=num_labels)
result = {}
if mode == "load":
    try:
        model = PeftModel.from_pretrained(base, folder)
    except Exception as error:  # What PEFT says of an adapter that it cannot compute.
        result = {"error": f"{type(error).__name__}: {error}"}
else:
    model = get_peft_model(base, config(task_type=TaskType.SEQ_CLS, num_virtual_tokens=7))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    for _ in range(5):
        optimizer.zero_grad()
        model(**inputs, labels=batch["labels"]).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
if not result:
    model.eval()
    with torch.no_grad():
        result = {"logits": model(**inputs).logits.tolist()}
Path(out).write_text(json.dumps(result))
