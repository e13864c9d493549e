"""PEFT's side of the live exchange.

  peft_live.py load BACKBONE ADAPTER BATCH OUT    logits of an adapter folder on a batch, or the error it gives
  peft_live.py train BACKBONE FOLDER BATCH OUT    trains an adapter a few steps, saves it to FOLDER, its logits

Then [TYPE [TASK [DTYPE]]]: PREFIX_TUNING, SEQ_CLS and float32 by default; a trained adapter is saved as DTYPE, and the
logits are those of what was saved. A classifier for one label is one for regression. The batch holds ids, types, mask and what the task's loss takes.
Heads on tokens give the logits of the real ones, row by row.
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

mode, backbone, folder, batch_path, out = sys.argv[1:6]
# What a LoRA is asked for stands behind a colon: LORA:{"r": 4}.
kind, _, asked = (sys.argv[6] if len(sys.argv) > 6 else "PREFIX_TUNING").partition(":")
types = {"LORA": LoraConfig, "PREFIX_TUNING": PrefixTuningConfig, "PROMPT_TUNING": PromptTuningConfig, "P_TUNING": PromptEncoderConfig}
config = types[kind]
settings = json.loads(asked or "{}") if kind == "LORA" else {"num_virtual_tokens": 7}
task_type = sys.argv[7] if len(sys.argv) > 7 else "SEQ_CLS"
classes = {
    "SEQ_CLS": AutoModelForSequenceClassification,
    "TOKEN_CLS": AutoModelForTokenClassification,
    "QUESTION_ANS": AutoModelForQuestionAnswering,
}
batch = {name: value.long() for name, value in load_file(batch_path).items()}
inputs = {"input_ids": batch["ids"], "token_type_ids": batch["types"], "attention_mask": batch["mask"]}
gold = {name: value for name, value in batch.items() if name not in ("ids", "types", "mask")}
torch.manual_seed(3)
sizes = {"num_labels": int(batch["labels"].max()) + 1} if "labels" in batch else {}
if sizes.get("num_labels") == 1:
    gold = {"labels": gold["labels"].float()}
base = classes[task_type].from_pretrained(backbone, **sizes)
dtype = getattr(torch, sys.argv[8] if len(sys.argv) > 8 else "float32")


def logits_of(model):
    found = model(**inputs)
    if task_type == "SEQ_CLS":
        return found.logits
    both = torch.stack([found.start_logits, found.end_logits], -1) if task_type == "QUESTION_ANS" else found.logits
    return both[batch["mask"] == 1]


result = {}
if mode == "load":
    try:
        model = PeftModel.from_pretrained(base, folder)
    except Exception as error:  # What PEFT says of an adapter that it cannot compute.
        result = {"error": f"{type(error).__name__}: {error}"}
else:
    model = get_peft_model(base, config(task_type=TaskType[task_type], **settings))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    for _ in range(5):
        optimizer.zero_grad()
        model(**inputs, **gold).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    if dtype != torch.float32:
        file = Path(folder) / "adapter_model.safetensors"
        save_file({name: tensor.to(dtype) for name, tensor in load_file(file).items()}, file, {"format": "pt"})
        model = PeftModel.from_pretrained(classes[task_type].from_pretrained(backbone, **sizes), folder)
if not result:
    model.eval()
    with torch.no_grad():
        result = {"logits": logits_of(model).tolist()}
Path(out).write_text(json.dumps(result))
