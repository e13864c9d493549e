"""The other half of a twin run: PEFT on the same weights, from the same tensors, on the same batches.

Usage: twin.py FOLDER
FOLDER holds twin.json (settings), start/ (the adapter that both start from), batches.safetensors (per step: ids, types,
mask, labels) and dev.safetensors. Writes peft.json: losses, and dev predictions after the last step.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PrefixTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

folder = Path(sys.argv[1])
settings = json.loads((folder / "twin.json").read_text())
torch.manual_seed(0)
model = AutoModelForSequenceClassification.from_pretrained(settings["backbone"], num_labels=settings["numLabels"])
peft = get_peft_model(
    model, PrefixTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=settings["promptLength"])
)
initial = load_file(folder / "start" / "adapter_model.safetensors")
peft.prompt_encoder["default"].embedding.weight.data = initial["prompt_embeddings"].clone()
head = peft.base_model.classifier.modules_to_save["default"]
for name, parameter in head.named_parameters():
    parameter.data = initial[f"base_model.classifier.{name}"].clone()
    # P-tuning-v2 keeps the pooler frozen, PEFT trains its like in RoBERTa's classifier.
    parameter.requires_grad = not name.startswith("dense.")
# Dropout 0 everywhere: eval mode, with gradients.
peft.eval()
trainable = [p for p in peft.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trainable, lr=settings["learningRate"], weight_decay=0.0)
total = settings["totalSteps"]
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, (total - step) / total))
batches = load_file(folder / "batches.safetensors")
losses = []
for step in range(settings["steps"]):
    part = {name: batches[f"{step}.{name}"].long() for name in ("ids", "types", "mask", "labels")}
    optimizer.zero_grad()
    loss = peft(
        input_ids=part["ids"], token_type_ids=part["types"], attention_mask=part["mask"], labels=part["labels"]
    ).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trainable, 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
    if step % 25 == 0:
        print(f"PEFT step {step}/{settings['steps']}", file=sys.stderr)

dev = load_file(folder / "dev.safetensors")
predictions = []
with torch.no_grad():
    for i in range(settings["devBatches"]):
        part = {name: dev[f"{i}.{name}"].long() for name in ("ids", "types", "mask")}
        logits = peft(input_ids=part["ids"], token_type_ids=part["types"], attention_mask=part["mask"]).logits
        predictions += logits.argmax(-1).tolist()
(folder / "peft.json").write_text(json.dumps({"losses": losses, "predictions": predictions, "torch": torch.__version__}))
