"""Makes test/golden/lm/: tiny random BertForMaskedLM and RobertaForMaskedLM as transformers saves them, and golden states of
verbalizers and of pseudo-tokens inside texts in float64.

For each case: logits of each text, loss, and the gradient of every trained tensor. Logits without prompts and gradients of
all weights are transformers' own, and so is everything on pseudo-tokens but their embeddings; deep prompts are those of
prefix_bert.py, which is checked against transformers here. GLM says what stands in a gap at a token that opens an answer: lm/glm/
is computed text by text with that token behind the text, as GLM generates (glm.py).
Run after make_bert.py, make_roberta.py and make_architectures.py: node tools/reference/run.mjs make_lm_heads.py
"""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import BertForMaskedLM, RobertaForMaskedLM

from glm import Glm
from prefix_bert import PrefixBert
from prompt_encoder import lstm_names
from prompted import Prompted

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


def make_glm():
    """The checkpoint of test/golden/glm in fp16; sequences have the opening token in front, as ours have."""
    source, target = golden / "glm", golden / "lm" / "glm"
    target.mkdir(parents=True, exist_ok=True)
    config = SimpleNamespace(**json.loads((source / "config.json").read_text()))
    model = Glm(config)
    model.load_state_dict(load_file(source / "model.safetensors"))
    model = model.half()
    torch.save(model.state_dict(), target / "pytorch_model.bin")
    for file in ("config.json", "tokenizer.json"):
        shutil.copyfile(source / file, target / file)
    model = model.double().eval()
    weights = {k: v for k, v in model.state_dict().items()}
    prompted = Prompted(model)
    start_id, mask_id, end_id = 38, 4, 0
    generator = torch.Generator().manual_seed(7)
    texts = []
    for length in (9, 4, 7, 6):
        ids = torch.randint(5, 38, (length,), generator=generator).tolist()
        at = int(torch.randint(1, length, (1,), generator=generator))
        texts.append((ids[:at] + [mask_id] + ids[at + 1 :] + [end_id], at))

    def label_logits(pieces, added, trained, prompt=None, layers=(), gate=None, input_prompt=None, pseudo=None):
        rows = []
        for ids, at in texts:
            text, words = torch.tensor([ids + [start_id]]), None
            count = 0
            table = trained.get("word_embeddings.weight", weights["word_embeddings.weight"])
            if pseudo is not None:
                # One behind the first token, the others in front of the last: as the sequences below have them.
                given = table[text[0]]
                words = torch.cat([given[:1], pseudo[:1], given[1 : len(ids) - 1], pseudo[1:], given[len(ids) - 1 :]])[None]
                count, at = len(pseudo), at + 1
            if input_prompt is not None:
                words = torch.cat([input_prompt, table[text[0]]])[None]
                count, at = len(input_prompt), at + len(input_prompt)
            inputs = {"input_ids": text} if words is None else {"inputs_embeds": words}
            states = prompted.states(prompt, layers, gate, trained, **inputs, gap=at, sep=len(ids) + count)
            scores = states[0, -1] @ table.T
            rows.append(torch.stack([sum(scores[word[0]] for word in words_) / len(words_) for words_ in pieces]))
        return torch.stack(rows) + torch.tensor(added, dtype=torch.float64)

    cases, tensors = [], {}
    p_tuning = lambda **options: {"promptLength": P, **options}
    every = [[[v]] for v in range(V)]
    runs = [
        ("every word of the vocabulary", "linear-probe", None, every, None, [], "plain"),
        ("prompts", "p-tuning-v2", p_tuning(), single, None, [0, 1, 2], "plain"),
        ("prompts and calibration", "p-tuning-v2", p_tuning(), single, offsets, [0, 1, 2], "plain"),
        ("prompts of the last layer", "p-tuning-v2", p_tuning(promptLayers={"last": 1}), single, None, [2], "plain"),
        ("prompts of the first layers, gated", "p-tuning-v2", p_tuning(promptLayers={"first": 2}, gate=True), single, None, [0, 1], "gate"),
        ("prompts by an MLP", "p-tuning-v2", p_tuning(reparameterization="mlp", prefixHiddenSize=M), single, None, [0, 1, 2], "mlp"),
        ("a prompt of words", "prompt-tuning", {"promptLength": P}, single, None, [], "input"),
        ("pseudo-tokens", "prompt-tuning", {"promptLength": P, "placement": "template"}, single, None, [], "pseudo"),
        ("biases", "bitfit", {}, single, None, [], "plain"),
        ("all weights", "fine-tuning", {}, single, offsets, [], "plain"),
    ]
    for name, method, options, pieces, added, layers, kind in runs:
        key = f"case{len(cases)}"
        draw_from = torch.Generator().manual_seed(len(cases))
        draw = lambda *shape: torch.randn(*shape, generator=draw_from).float().double().mul(0.5)
        params, given = {}, {}
        columns = 2 * len(layers) * E
        if kind == "gate":
            params["prompt.gate"] = draw(len(layers), 2)
        if kind == "mlp":
            params |= {
                "prompt.mlp.embeddings": draw(P, E), "prompt.mlp.in.weight": draw(M, E), "prompt.mlp.in.bias": draw(M),
                "prompt.mlp.out.weight": draw(columns, M), "prompt.mlp.out.bias": draw(columns),
            }
        elif layers:
            params["prompt.embeddings"] = draw(P, columns)
        if kind in ("input", "pseudo"):
            params["prompt.input"] = draw(P, E)
        params = {k: v.requires_grad_() for k, v in params.items()}
        trains = {"fine-tuning": lambda k: True, "bitfit": lambda k: k.endswith("bias")}.get(method, lambda k: False)
        trained = {k: v.clone().requires_grad_() for k, v in weights.items() if trains(k)}
        if kind == "mlp":
            wide = F.linear(params["prompt.mlp.embeddings"], params["prompt.mlp.in.weight"], params["prompt.mlp.in.bias"])
            given["prompt"] = F.linear(torch.tanh(wide), params["prompt.mlp.out.weight"], params["prompt.mlp.out.bias"])
        elif layers:
            given["prompt"] = params["prompt.embeddings"]
        if kind == "gate":
            given["gate"] = params["prompt.gate"]
        if kind in ("input", "pseudo"):
            given["input_prompt" if kind == "input" else "pseudo"] = params["prompt.input"]
        logits = label_logits(pieces, added or [0] * len(pieces), trained, layers=layers, **given)
        case = {"name": name, "method": method, "pieces": pieces, "counts": [1], "input": "pseudo" if kind == "pseudo" else "plain"}
        case |= {"options": options} if options is not None else {}
        case |= {"calibration": added} if added else {}
        if method != "linear-probe":
            loss = F.cross_entropy(logits, gold)
            loss.backward()
            logits = logits - logits.mean(-1, keepdim=True)
            case["loss"] = loss.item()
        cases.append(case)
        tensors[f"{key}.logits"] = logits.detach()
        for k, v in params.items():
            tensors |= {f"{key}.param.{k}": v.detach().clone(), f"{key}.grad.{k}": v.grad.clone()}
        tensors |= {f"{key}.grad.{k}": v.grad.clone() for k, v in trained.items() if v.grad is not None}

    save_file({k: v.contiguous() for k, v in tensors.items()}, target / "golden.safetensors")
    plain = [[start_id, *ids] for ids, _ in texts]
    inside = [row[:2] + [-1] + row[2:-1] + [-2, -3] + row[-1:] for row in plain]
    inputs = {
        "plain": {"tokens": plain, "marks": [[at + 1] for _, at in texts]},
        "pseudo": {"tokens": inside, "marks": [[at + 2] for _, at in texts]},
    }
    manifest = {"torch": torch.__version__, "promptLength": P, "labels": gold.tolist(), "inputs": inputs, "cases": cases}
    (target / "golden.json").write_text(json.dumps(manifest) + "\n")
    for file in target.iterdir():
        file.chmod(0o644)
    print(f"glm: {len(cases)} cases, {sum(f.stat().st_size for f in target.iterdir())} bytes")


make_glm()
