"""Makes test/golden/bert/: a tiny random BERT and golden states in float64; make_roberta.py does the same with RoBERTa.

For each case: trainable tensors, logits, loss, every gradient, ten AdamW losses (clip 1.0, weight decay 0.01,
linear decay). Run: node tools/reference/run.mjs make_bert.py
"""

import itertools
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PrefixTuningConfig, TaskType, get_peft_model
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification

from prefix_bert import PrefixBert

B, S, P, C, M = 4, 7, 3, 3, 6
sizes = dict(
    vocab_size=40, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24,
    hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, num_labels=C,
)
torch.manual_seed(4711)


def make(config, model_class, architecture, vocabulary_files):
    """Writes the folder of one architecture. The model class is transformers' sequence classifier."""
    kind = config.model_type
    target = Path(__file__).resolve().parents[2] / "test" / "golden" / kind
    target.mkdir(parents=True, exist_ok=True)
    model = model_class(config)
    for parameter in model.parameters():
        # Wider than the usual 0.02: attention should differ from uniform, and every gradient should matter.
        parameter.data = torch.randn_like(parameter) * 0.4
    own = {k: v for k, v in model.state_dict().items() if k.startswith(f"{kind}.")}
    save_file({k: v.contiguous() for k, v in own.items()}, target / "model.safetensors", {"format": "pt"})
    config.architectures = [architecture]
    config.save_pretrained(target)
    # A vocabulary, so that the folder is a whole backbone.
    for name, content in vocabulary_files.items():
        (target / name).write_text(content)

    ids = torch.randint(5, 40, (B, S))
    lengths = [7, 4, 6, 5]
    mask = torch.zeros(B, S, dtype=torch.long)
    types = torch.zeros(B, S, dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
        if config.type_vocab_size > 1:
            types[row, length // 2 : length] = row % 2
        ids[row, length:] = config.pad_token_id
    labels = torch.tensor([0, 2, 1, 2])

    weights = {k.removeprefix(f"{kind}."): v.double() for k, v in own.items()}
    lacks_pooler = "pooler.dense.weight" not in weights
    cases, tensors = [], {}
    layer_sets = {"all": [0, 1, 2], "first 2": [0, 1], "last 1": [2], "0 and 2": [0, 2]}
    for (layer_name, layers), mlp, pooling in itertools.product(layer_sets.items(), (False, True), ("pooler", "cls", "mean")):
        name = f"{layer_name}, {'mlp' if mlp else 'flat'}, {pooling}"
        generator = torch.Generator().manual_seed(len(cases))
        # Rounded to float32, the precision in which parameters are stored.
        draw = lambda *shape: torch.randn(*shape, generator=generator).float().double().mul(0.5)
        width = 2 * len(layers) * 16
        params = {"head.weight": draw(C, 16), "head.bias": draw(C)}
        if mlp:
            params |= {
                "prompt.mlp.embeddings": draw(P, 16),
                "prompt.mlp.in.weight": draw(M, 16), "prompt.mlp.in.bias": draw(M),
                "prompt.mlp.out.weight": draw(width, M), "prompt.mlp.out.bias": draw(width),
            }
        else:
            params |= {"prompt.embeddings": draw(P, width)}
        frozen = {}
        if lacks_pooler and pooling == "pooler":
            frozen = {"pooler.dense.weight": draw(16, 16), "pooler.dense.bias": draw(16)}
        offset = P if layer_name != "last 1" else 0
        net = PrefixBert(weights | frozen, config, layers, pooling, offset)
        params = {k: v.clone().requires_grad_() for k, v in params.items()}
        initial = {k: v.detach().clone() for k, v in params.items()}
        logits = net.logits(params, ids, types, mask)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        gradients = {k: v.grad.clone() for k, v in params.items()}

        if layer_name == "all" and not mlp and pooling == "pooler":
            # The same function by transformers and PEFT.
            peft = get_peft_model(model.double().eval(), PrefixTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=P))
            peft.prompt_encoder["default"].embedding.weight.data = initial["prompt.embeddings"].clone()
            head = peft.base_model.classifier.modules_to_save["default"]
            if lacks_pooler:
                head.dense.weight.data = frozen["pooler.dense.weight"].clone()
                head.dense.bias.data = frozen["pooler.dense.bias"].clone()
                head = head.out_proj
            head.weight.data, head.bias.data = initial["head.weight"].clone(), initial["head.bias"].clone()
            peft.double()
            theirs = peft(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
            assert (theirs - logits).abs().max() < 1e-12, (theirs - logits).abs().max()

        optimizer = torch.optim.AdamW(params.values(), lr=1e-2, weight_decay=0.01)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (10 - step) / 10)
        losses = []
        for _ in range(10):
            optimizer.zero_grad()
            step_loss = F.cross_entropy(net.logits(params, ids, types, mask), labels)
            step_loss.backward()
            torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
            optimizer.step()
            scheduler.step()
            losses.append(step_loss.item())

        key = f"case{len(cases)}"
        cases.append({"key": key, "name": name, "layers": layers, "mlp": mlp, "pooling": pooling, "positionOffset": offset > 0, "loss": loss.item(), "losses": losses})
        tensors |= {f"{key}.param.{k}": v for k, v in initial.items()}
        tensors |= {f"{key}.frozen.{k}": v for k, v in frozen.items()}
        tensors |= {f"{key}.grad.{k}": v for k, v in gradients.items()}
        tensors[f"{key}.logits"] = logits.detach()

    save_file({k: v.contiguous() for k, v in tensors.items()}, target / "golden.safetensors")
    manifest = {
        "torch": torch.__version__, "promptLength": P, "prefixHiddenSize": M, "numLabels": C, "labels": labels.tolist(),
        "inputIds": ids.tolist(), "tokenTypeIds": types.tolist(), "attentionMask": mask.tolist(), "cases": cases,
    }
    (target / "golden.json").write_text(json.dumps(manifest) + "\n")
    print(f"{len(cases)} cases, {sum(f.stat().st_size for f in target.iterdir())} bytes")


if __name__ == "__main__":
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(35)]
    make(
        BertConfig(**sizes, max_position_embeddings=24),
        BertForSequenceClassification,
        "BertModel",
        {"vocab.txt": "\n".join(words) + "\n"},
    )
