"""transformers' side of the prediction benchmark: fp32, texts in their order, batches padded to their longest.

  predict.py BACKBONE TEXTS.json
Speaks the JSON lines of contender.mjs.
"""

import json
import sys

import torch
from transformers import AutoModelForSequenceClassification, BertTokenizerFast

from processes import answer_measures, say

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
say(ready=True)
answer_measures(lambda: predict(texts))
