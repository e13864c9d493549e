"""PyTorch's side of a step benchmark: PEFT, or where transformers' model takes no keys and values from outside, a plain loop
over that model with prompts in its attention. Speaks the same JSON lines as contender.mjs.

  contender.py BACKBONE B S P fp32|bf16|compile
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from peft import PrefixTuningConfig, TaskType, get_peft_model
from transformers import AutoConfig, AutoModel, BertForSequenceClassification

from processes import answer_measures, say, status

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools" / "reference"))
from prompted import Prompted

backbone, precision = sys.argv[1], sys.argv[5]
B, S, P = map(int, sys.argv[2:5])
say(idleBytes=status("VmRSS"))


class PromptedClassifier(torch.nn.Module):
    """As PEFT's: dropout in front of a linear head on the first token, only prompt and head are trained."""

    def __init__(self, model):
        super().__init__()
        config = model.config
        self.model = model.requires_grad_(False)
        self.net = Prompted(model)
        self.layers = list(range(len(self.net.modules)))
        self.prompt = torch.nn.Parameter(torch.randn(P, 2 * len(self.layers) * config.hidden_size))
        self.dropout = torch.nn.Dropout(config.hidden_dropout_prob)
        self.head = torch.nn.Linear(config.hidden_size, 3)

    def forward(self, input_ids, attention_mask, labels):
        states = self.net.states(self.prompt, self.layers, None, {}, input_ids=input_ids, attention_mask=attention_mask)
        logits = self.head(self.dropout(states[:, 0]))
        return SimpleNamespace(loss=torch.nn.functional.cross_entropy(logits, labels))


if AutoConfig.from_pretrained(backbone).model_type == "bert":
    model = BertForSequenceClassification.from_pretrained(backbone, num_labels=3)
    model = get_peft_model(model, PrefixTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=P))
else:
    model = PromptedClassifier(AutoModel.from_pretrained(backbone))
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
