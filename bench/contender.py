"""PEFT's side of a step benchmark; speaks the same JSON lines as contender.mjs.

  contender.py BACKBONE B S P fp32|bf16|compile
"""

import sys

import torch
from peft import PrefixTuningConfig, TaskType, get_peft_model
from transformers import BertForSequenceClassification

from processes import answer_measures, say, status

backbone, precision = sys.argv[1], sys.argv[5]
B, S, P = map(int, sys.argv[2:5])
say(idleBytes=status("VmRSS"))
model = BertForSequenceClassification.from_pretrained(backbone, num_labels=3)
model = get_peft_model(model, PrefixTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=P))
model.train()
if precision == "compile":
    model = torch.compile(model)
generator = torch.Generator().manual_seed(2)
ids = torch.randint(1000, 21000, (B, S), generator=generator)
mask, labels = torch.ones_like(ids), torch.arange(B) % 3
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)


def step():
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


for _ in range(2):
    step()
say(ready=True)
answer_measures(step)
say(peakBytes=status("VmHWM"))
