"""Makes test/golden/lm/: tiny random BertForMaskedLM and RobertaForMaskedLM as transformers saves them, and golden states of
verbalizers and of pseudo-tokens inside texts in float64.

For each case: logits of each text, loss, and the gradient of every trained tensor. Logits without prompts and gradients of
all weights are transformers' own, and so is everything on pseudo-tokens but their embeddings; deep prompts are those of
prefix_bert.py, which is checked against transformers here.
Run after make_bert.py and make_roberta.py: node tools/reference/run.mjs make_lm_heads.py
"""

import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import BertForMaskedLM, RobertaForMaskedLM

from prefix_bert import PrefixBert
from prompt_encoder import lstm_names

golden = Path(__file__).resolve().parents[2] / "test" / "golden"
P, E, V, M = 3, 16, 40, 6
torch.manual_seed(1213)
gold = torch.tensor([2, 0, 1, 2])
# Words of each label as pieces; several words per label, one or two pieces each.
single = [[[7], [9]], [[11]], [[5], [20], [30]]]
mixed = [[[7], [9, 12]], [[11]], [[5, 6], [20, 21], [30]]]
offsets = [0.5, -1.25, 0.0]


def make(kind, model_class, mask_id, lm_names):
    source, target = golden / kind, golden / "lm" / kind
    target.mkdir(parents=True, exist_ok=True)
    model = model_class.from_pretrained(source)
    for name, parameter in model.named_parameters():
        if name.startswith(("cls.", "lm_head.")):
            parameter.data = torch.randn_like(parameter) * 0.4
    model.save_pretrained(target)
    (target / "generation_config.json").unlink(missing_ok=True)
    for file in ("vocab.txt", "vocab.json", "merges.txt"):
        if (source / file).exists():
            shutil.copyfile(source / file, target / file)
    config = model.config
    model = model.double().eval()
    weights = {k.removeprefix(f"{kind}."): v for k, v in model.state_dict().items()}

    def batch(counts, pseudo=0):
        """Texts of several lengths; each once for every number of masks; pseudo-token i, of so many, has the id −1 − i."""
        generator = torch.Generator().manual_seed(5)
        rows = []
        for length in (7, 4, 6, 5):
            ids = torch.randint(5, V - 1, (length,), generator=generator).tolist()
            at = 1 + int(torch.randint(0, length - 2, (1,), generator=generator))
            for count in counts:
                row = ids[:at] + [mask_id] * count + ids[at + 1 :]
                # One behind the first token, the others in front of the last.
                row = row[:1] + [-1] * (pseudo > 0) + row[1:-1] + [-1 - i for i in range(1, pseudo)] + row[-1:]
                rows.append((row, [i for i, id in enumerate(row) if id == mask_id]))
        length = max(len(ids) for ids, _ in rows)
        padded = torch.tensor([ids + [config.pad_token_id] * (length - len(ids)) for ids, _ in rows])
        mask = torch.tensor([[1] * len(ids) + [0] * (length - len(ids)) for ids, _ in rows])
        return padded, mask, [marks for _, marks in rows], [ids for ids, _ in rows]

    def by_transformers(ids, mask):
        return model(input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids)).logits

    def with_vectors(vectors, ids, mask, model=model):
        """Output of transformers with these vectors in the place of pseudo-tokens."""
        words = weights["embeddings.word_embeddings.weight"][ids.clamp(min=0)]
        words = torch.where((ids < 0)[..., None], vectors[(-1 - ids).clamp(min=0)], words)
        # Positions come from ids, where transformers has them: a pseudo-token counts as a token.
        positions = torch.arange(ids.shape[1])[None].expand(ids.shape)
        if kind == "roberta":
            positions = (positions + config.pad_token_id + 1) * mask + config.pad_token_id * (1 - mask)
        given = {"attention_mask": mask, "token_type_ids": torch.zeros_like(ids), "position_ids": positions}
        return model(inputs_embeds=words, **given)

    def by_hand(params, ids, mask):
        net = PrefixBert(weights, config, [0, 1, 2] if params else [], "cls", P if params else 0)
        x = net.hidden(params, ids, torch.zeros_like(ids), mask)
        dense, norm, bias = lm_names
        x = net.norm(F.gelu(net.linear(x, dense)), norm)
        return F.linear(x, weights["embeddings.word_embeddings.weight"], weights[bias])

    def label_logits(logits, marks, counts, pieces, added):
        """One row per text: the mean over a label's words of the sum of their pieces' log-probabilities."""
        texts = []
        for text in range(len(marks) // len(counts)):
            of_words = []
            for words in pieces:
                scores = []
                for word in words:
                    row = text * len(counts) + counts.index(len(word))
                    scores.append(sum(logits[row, at].log_softmax(-1)[id] for at, id in zip(marks[row], word)))
                of_words.append(sum(scores) / len(scores))
            texts.append(torch.stack(of_words))
        return torch.stack(texts) + torch.tensor(added, dtype=torch.float64)

    ids, mask, marks, rows = batch([1, 2])
    difference = (by_transformers(ids, mask) - by_hand({}, ids, mask))[mask.bool()].abs().max()
    assert difference < 1e-12, difference

    cases, tensors = [], {}
    ids, mask, marks, rows = batch([1])
    every = torch.stack([by_transformers(ids, mask)[b, at[0]] for b, at in enumerate(marks)])
    cases.append({"name": "every word of the vocabulary", "method": "linear-probe", "pieces": [[[v]] for v in range(V)], "counts": [1]})
    tensors["case0.logits"] = every.detach()
    runs = [
        ("prompts, words of one piece", "p-tuning-v2", single, [1], None),
        ("prompts, words of one and two pieces", "p-tuning-v2", mixed, [1, 2], offsets),
        ("prompts, words of two pieces", "p-tuning-v2", [[[7, 8]], [[9, 10]], [[9, 12]]], [2], None),
        ("all weights, words of one piece", "fine-tuning", single, [1], offsets),
        ("all weights, words of one and two pieces", "fine-tuning", mixed, [1, 2], None),
    ]
    for name, method, pieces, counts, added in runs:
        key = f"case{len(cases)}"
        ids, mask, marks, rows = batch(counts)
        if method == "fine-tuning":
            model.zero_grad()
            logits = label_logits(by_transformers(ids, mask), marks, counts, pieces, added or [0, 0, 0])
            params = {}
        else:
            generator = torch.Generator().manual_seed(len(cases))
            draw = torch.randn(P, 2 * 3 * E, generator=generator).float().double().mul(0.5)
            params = {"prompt.embeddings": draw.requires_grad_()}
            logits = label_logits(by_hand(params, ids, mask), marks, counts, pieces, added or [0, 0, 0])
        loss = F.cross_entropy(logits, gold)
        loss.backward()
        if counts == [1]:
            # Where every word is one piece the graph gives logits, which differ by a number per text.
            logits = logits - logits.mean(-1, keepdim=True)
        case = {"name": name, "method": method, "pieces": pieces, "counts": counts, "loss": loss.item()}
        cases.append(case | ({"calibration": added} if added else {}))
        tensors[f"{key}.logits"] = logits.detach()
        for k, v in params.items():
            tensors |= {f"{key}.param.{k}": v.detach().clone(), f"{key}.grad.{k}": v.grad.clone()}
        if method == "fine-tuning":
            used = {k: p.grad for k, p in model.named_parameters() if p.grad is not None and not k.endswith("key.bias")}
            tensors |= {f"{key}.grad.{k}": v.clone() for k, v in used.items()}

    def encoder(shape, generator):
        """P-tuning's network by torch's own modules, with our names of their tensors."""
        lstm = torch.nn.LSTM(E, M, 2, bidirectional=True).double() if shape == "lstm" else None
        widths = [2 * M, 2 * M, E] if lstm else [E, M, M, E]
        layers = [torch.nn.Linear(a, b).double() for a, b in zip(widths, widths[1:])]
        start = torch.randn(P, E, generator=generator).float().double().requires_grad_()
        tensors = {"prompt.encoder.embeddings": start}
        tensors |= {ours: getattr(lstm, theirs) for ours, theirs in lstm_names.items()} if lstm else {}
        for i, layer in enumerate(layers):
            tensors |= {f"prompt.encoder.mlp.{i}.weight": layer.weight, f"prompt.encoder.mlp.{i}.bias": layer.bias}
        for tensor in tensors.values():
            tensor.data = torch.randn(tensor.shape, generator=generator).float().double().mul(0.5)

        def vectors():
            x = lstm(start)[0] if lstm else start
            for i, layer in enumerate(layers):
                x = layer(torch.relu(x) if i else x)
            return x

        return tensors, vectors

    inside = {"promptLength": P, "placement": "template"}
    for name, method, options, pieces, counts in [
        ("pseudo-tokens by an LSTM, words of one piece", "p-tuning", {"encoder": "lstm", "encoderHiddenSize": M}, single, [1]),
        ("pseudo-tokens, words of one and two pieces", "prompt-tuning", {}, mixed, [1, 2]),
        ("pseudo-tokens by an MLP, linear head", "p-tuning", {"encoder": "mlp", "encoderHiddenSize": M}, None, [0]),
    ]:
        key = f"case{len(cases)}"
        generator = torch.Generator().manual_seed(len(cases))
        ids, mask, marks, rows = batch(counts, P)
        if method == "p-tuning":
            params, vectors = encoder(options["encoder"], generator)
        else:
            plain = torch.randn(P, E, generator=generator).float().double().requires_grad_()
            params, vectors = {"prompt.input": plain}, lambda: plain
        if pieces:
            logits = label_logits(with_vectors(vectors(), ids, mask).logits, marks, counts, pieces, [0, 0, 0])
        else:
            for part, shape in (("weight", (3, E)), ("bias", (3,))):
                params[f"head.{part}"] = torch.randn(shape, generator=generator).float().double().requires_grad_()
            encoded = with_vectors(vectors(), ids, mask, model.base_model).last_hidden_state
            logits = F.linear(encoded[:, 0], params["head.weight"], params["head.bias"])
        loss = F.cross_entropy(logits, gold)
        for v in params.values():
            v.grad = None
        loss.backward()
        if counts == [1]:
            logits = logits - logits.mean(-1, keepdim=True)
        case = {"name": name, "method": method, "options": inside | options, "counts": counts, "loss": loss.item()}
        cases.append(case | {"pieces": pieces})
        tensors[f"{key}.logits"] = logits.detach()
        for k, v in params.items():
            tensors |= {f"{key}.param.{k}": v.detach().clone(), f"{key}.grad.{k}": v.grad.clone()}

    save_file({k: v.contiguous() for k, v in tensors.items()}, target / "golden.safetensors")
    inputs = {}
    for counts, pseudo in (([1], 0), ([2], 0), ([1, 2], 0), ([0], P), ([1], P), ([1, 2], P)):
        _, _, marks, rows = batch(counts, pseudo)
        inputs[f"{','.join(map(str, counts))} masks, {pseudo} pseudo-tokens"] = {"tokens": rows, "marks": marks}
    manifest = {"torch": torch.__version__, "promptLength": P, "labels": gold.tolist(), "inputs": inputs, "cases": cases}
    (target / "golden.json").write_text(json.dumps(manifest) + "\n")
    print(f"{len(cases)} cases, {sum(f.stat().st_size for f in target.iterdir())} bytes")


transform = "cls.predictions.transform"
make("bert", BertForMaskedLM, 4, (f"{transform}.dense", f"{transform}.LayerNorm", "cls.predictions.bias"))
make("roberta", RobertaForMaskedLM, V - 1, ("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"))
