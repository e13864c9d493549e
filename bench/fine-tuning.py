"""Plain PyTorch's side of the fine-tuning benchmark; speaks the same JSON lines as contender.mjs.

  fine-tuning.py BACKBONE B S
"""

import sys

import torch
from transformers import BertForSequenceClassification

from processes import answer_measures, say, status

backbone = sys.argv[1]
B, S = map(int, sys.argv[2:4])
say(idleBytes=status("VmRSS"))
model = BertForSequenceClassification.from_pretrained(backbone, num_labels=3)
model.train()
generator = torch.Generator().manual_seed(2)
ids = torch.randint(1000, 21000, (B, S), generator=generator)
mask, labels = torch.ones_like(ids), torch.arange(B) % 3
shrinks = lambda v: v.dim() > 1
optimizer = torch.optim.AdamW(
    [
        {"params": [v for v in model.parameters() if shrinks(v)], "weight_decay": 0.01},
        {"params": [v for v in model.parameters() if not shrinks(v)], "weight_decay": 0.0},
    ],
    lr=5e-5,
)


def step():
    optimizer.zero_grad()
    model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


for _ in range(2):
    step()
say(ready=True)
answer_measures(step)
say(peakBytes=status("VmHWM"))
