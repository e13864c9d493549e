"""Makes test/golden/spans/: golden states of the heads that read every token, on the tiny BERT of make_bert.py and the
tiny RoBERTa of make_roberta.py.

For each case: trainable tensors, logits, loss, every gradient, ten AdamW losses (clip 1.0, weight decay 0.01,
linear decay), in float64. Tokens: cross-entropy over the labelled tokens. Answers: the mean of two cross-entropies over
the real positions of each window. Run: node tools/reference/run.mjs make_spans.py
"""

import itertools
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PrefixTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForTokenClassification,
    RobertaConfig,
    RobertaForQuestionAnswering,
    RobertaForTokenClassification,
)

from prefix_bert import PrefixBert

golden = Path(__file__).resolve().parents[2] / "test" / "golden"
target = golden / "spans"
target.mkdir(parents=True, exist_ok=True)
torch.manual_seed(815)
B, S, P, C, M = 4, 8, 3, 5, 6
lengths = [8, 5, 7, 4]
texts = torch.randint(5, 40, (B, S))
mask = torch.zeros(B, S, dtype=torch.long)
pairs = torch.zeros(B, S, dtype=torch.long)
for row, length in enumerate(lengths):
    mask[row, :length] = 1
    pairs[row, length // 2 : length] = 1
# -100: special tokens, tokens inside words, padding. Eight labels: 1/8 is exact in float32.
tags = torch.tensor(
    [
        [-100, 0, 3, -100, 4, -100, -100, -100],
        [-100, 2, 0, -100, -100, -100, -100, -100],
        [-100, 1, -100, 4, -100, -100, -100, -100],
        [-100, 0, -100, -100, -100, -100, -100, -100],
    ]
)
# Window 1 has no answer: it points to [CLS]. Window 3 answers with one token.
starts, ends = torch.tensor([4, 0, 3, 2]), torch.tensor([6, 0, 5, 2])


def token_loss(logits):
    return F.cross_entropy(logits.reshape(-1, C), tags.reshape(-1))


def answer_loss(logits):
    kept = logits.masked_fill(mask[:, :, None] == 0, -math.inf)
    return (F.cross_entropy(kept[..., 0], starts) + F.cross_entropy(kept[..., 1], ends)) / 2


heads = {
    "token": (C, token_loss, TaskType.TOKEN_CLS, "classifier", {"labels": tags}),
    "span": (2, answer_loss, TaskType.QUESTION_ANS, "qa_outputs", {}),
}
architectures = {
    "bert": (BertConfig, {"token": BertForTokenClassification, "span": BertForQuestionAnswering}),
    "roberta": (RobertaConfig, {"token": RobertaForTokenClassification, "span": RobertaForQuestionAnswering}),
}
layer_sets = {"all": [0, 1, 2], "last 1": [2]}
cases, tensors = [], {}


def make_case(architecture, head, layer_name, mlp):
    config_class, model_classes = architectures[architecture]
    config = config_class.from_pretrained(golden / architecture)
    stored = load_file(golden / architecture / "model.safetensors")
    weights = {k.removeprefix(f"{architecture}."): v.double() for k, v in stored.items()}
    ids, types = texts.masked_fill(mask == 0, config.pad_token_id), pairs % config.type_vocab_size
    layers = layer_sets[layer_name]
    width, loss_of, task_type, module, labels = heads[head]
    generator = torch.Generator().manual_seed(len(cases))
    # Rounded to float32, the precision in which parameters are stored.
    draw = lambda *shape: torch.randn(*shape, generator=generator).float().double().mul(0.5)
    prompt_width = 2 * len(layers) * 16
    params = {"head.weight": draw(width, 16), "head.bias": draw(width)}
    if mlp:
        params |= {
            "prompt.mlp.embeddings": draw(P, 16),
            "prompt.mlp.in.weight": draw(M, 16), "prompt.mlp.in.bias": draw(M),
            "prompt.mlp.out.weight": draw(prompt_width, M), "prompt.mlp.out.bias": draw(prompt_width),
        }
    else:
        params |= {"prompt.embeddings": draw(P, prompt_width)}
    offset = P if layer_name == "all" else 0
    net = PrefixBert(weights, config, layers, "all", offset)
    params = {k: v.clone().requires_grad_() for k, v in params.items()}
    initial = {k: v.detach().clone() for k, v in params.items()}
    forward = lambda: F.linear(net.hidden(params, ids, types, mask), params["head.weight"], params["head.bias"])
    logits = forward()
    loss = loss_of(logits)
    loss.backward()
    gradients = {k: v.grad.clone() for k, v in params.items()}

    if layer_name == "all" and not mlp:
        # The same function by transformers and PEFT.
        config.num_labels = width
        model = model_classes[head](config)
        model.load_state_dict(stored, strict=False)
        peft = get_peft_model(model.double().eval(), PrefixTuningConfig(task_type=task_type, num_virtual_tokens=P))
        peft.prompt_encoder["default"].embedding.weight.data = initial["prompt.embeddings"].clone()
        theirs = getattr(peft.base_model, module).modules_to_save["default"]
        theirs.weight.data, theirs.bias.data = initial["head.weight"].clone(), initial["head.bias"].clone()
        peft.double()
        out = peft.base_model(
            input_ids=ids, token_type_ids=types, attention_mask=torch.cat([torch.ones(B, P, dtype=torch.long), mask], 1),
            past_key_values=peft.get_prompt(B), **labels,
        )
        found = out.logits if head == "token" else torch.stack([out.start_logits, out.end_logits], -1)
        difference = (found - logits)[mask == 1].abs().max()
        assert difference < 1e-12, difference
        if head == "token":
            assert abs(out.loss - loss) < 1e-12

    optimizer = torch.optim.AdamW(params.values(), lr=1e-2, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (10 - step) / 10)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        step_loss = loss_of(forward())
        step_loss.backward()
        torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(step_loss.item())

    key = f"case{len(cases)}"
    cases.append({
        "key": key, "name": f"{architecture}, {head}, {layer_name}, {'mlp' if mlp else 'flat'}",
        "architecture": architecture, "head": head, "layers": layers,
        "mlp": mlp, "positionOffset": offset > 0, "loss": loss.item(), "losses": losses,
    })
    tensors.update({f"{key}.param.{k}": v for k, v in initial.items()})
    tensors.update({f"{key}.grad.{k}": v for k, v in gradients.items()})
    tensors[f"{key}.logits"] = logits.detach()


for case in itertools.product(("bert",), heads, layer_sets, (False, True)):
    make_case(*case)
for head in heads:
    make_case("roberta", head, "all", False)
save_file({k: v.contiguous() for k, v in tensors.items()}, target / "golden.safetensors")
manifest = {
    "torch": torch.__version__, "promptLength": P, "prefixHiddenSize": M, "numTags": C, "tags": tags.tolist(),
    "starts": starts.tolist(), "ends": ends.tolist(), "inputIds": texts.tolist(), "tokenTypeIds": pairs.tolist(),
    "attentionMask": mask.tolist(), "cases": cases,
}
(target / "golden.json").write_text(json.dumps(manifest) + "\n")
print(f"{len(cases)} cases, {sum(f.stat().st_size for f in target.iterdir())} bytes")
