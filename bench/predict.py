"""transformers' side of the prediction benchmark: fp32, texts in their order, batches padded to their longest.

  predict.py BACKBONE TEXTS.json
Speaks the JSON lines of contender.mjs.
"""

import json
import sys
import time

import torch
from transformers import AutoModelForSequenceClassification, BertTokenizerFast

texts = json.load(open(sys.argv[2]))
tokenizer = BertTokenizerFast.from_pretrained(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], num_labels=3).eval()


def predict(texts):
    answers = []
    with torch.inference_mode():
        for start in range(0, len(texts), 32):
            batch = tokenizer(texts[start : start + 32], padding=True, truncation=True, max_length=256, return_tensors="pt")
            answers += model(**batch).logits.argmax(-1).tolist()
    return answers


predict(texts[:64])
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    if line.strip() == "end":
        break
    seconds = []
    for _ in range(int(line.split()[1])):
        started = time.perf_counter()
        predict(texts)
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"seconds": seconds}), flush=True)
