"""Makes test/golden/ARCHITECTURE/: a tiny random checkpoint of transformers, and golden states in float64 of every kind of
method on it, computed by transformers' own model with prompts in its attention (prompted.py).

For each case: trainable tensors that the checkpoint lacks, logits, loss, and every gradient; gradients of the checkpoint's
weights have its names. Run: node tools/reference/run.mjs make_architectures.py [ARCHITECTURE ...]
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from peft import PrefixTuningConfig, TaskType, get_peft_model
from transformers import (
    AlbertConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, CamembertConfig, DebertaConfig, DebertaV2Config,
    DistilBertConfig, ElectraConfig, MPNetConfig, ModernBertConfig, NomicBertConfig,
)
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

from glm import Glm
from prompted import Prompted, attention_modules

golden = Path(__file__).resolve().parents[2] / "test" / "golden"
B, P, C, M = 4, 3, 3, 6
words = [f"w{i}" for i in range(33)]
sizes = dict(vocab_size=40, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24)


def mpnet_tokenizer():
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", *words, "w33", "<mask>"]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return tokenizer.to_str(pretty=False) + "\n"


def bert_tokenizer():
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, "w33", "w34"]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(pieces[:5])
    return tokenizer.to_str(pretty=False) + "\n"


def tanh_pooler(first, weights, frozen):
    return torch.tanh(F.linear(first, weights["pooler.dense.weight"], weights["pooler.dense.bias"]))


def own_pooler(activation):
    """Checkpoints have none: it is drawn with the case, under our name."""
    return lambda first, weights, frozen: activation(
        F.linear(first, frozen["pooler.dense.weight"], frozen["pooler.dense.bias"])
    )


# Folder → configuration, tokens of the longest text, tokenizer, pooler, what names of key biases end in, where positions of
# texts behind a deep prompt start (None: where they do without), and applications of layers where they share weights.
architectures = {
    "mpnet": dict(
        config=MPNetConfig(**sizes, max_position_embeddings=34, layer_norm_eps=1e-5),
        length=20, tokenizer=mpnet_tokenizer(), pooler=tanh_pooler, key_bias=".attn.k.bias",
    ),
    "camembert": dict(
        config=CamembertConfig(**sizes, max_position_embeddings=16, type_vocab_size=1, layer_norm_eps=1e-5),
        length=7, tokenizer=mpnet_tokenizer(), pooler=own_pooler(torch.tanh), key_bias=".self.key.bias",
        behind_prompt=lambda mask: (mask.cumsum(1) + P) * mask + 1, add_pooling_layer=False,
    ),
    "electra": dict(
        config=ElectraConfig(**sizes, embedding_size=10, max_position_embeddings=12),
        length=7, tokenizer=bert_tokenizer(), pooler=own_pooler(F.gelu), key_bias=".self.key.bias",
        behind_prompt=lambda mask: (torch.arange(mask.shape[1]) + P).expand_as(mask),
    ),
    "electra-same-width": dict(
        config=ElectraConfig(**sizes, embedding_size=16, max_position_embeddings=12),
        length=7, tokenizer=bert_tokenizer(), pooler=own_pooler(F.gelu), key_bias=".self.key.bias",
        behind_prompt=lambda mask: (torch.arange(mask.shape[1]) + P).expand_as(mask),
    ),
    "distilbert": dict(
        config=DistilBertConfig(
            vocab_size=40, dim=16, n_layers=3, n_heads=2, hidden_dim=24, max_position_embeddings=12
        ),
        length=7, tokenizer=bert_tokenizer(), pooler=own_pooler(torch.relu), key_bias=".k_lin.bias",
    ),
    "albert": dict(
        config=AlbertConfig(
            vocab_size=40, embedding_size=10, hidden_size=16, num_hidden_layers=3, num_hidden_groups=2, inner_group_num=2,
            num_attention_heads=2, intermediate_size=24, max_position_embeddings=12,
        ),
        length=7, tokenizer=bert_tokenizer(), key_bias=".attention.key.bias", applications=6,
        pooler=lambda first, weights, frozen: torch.tanh(F.linear(first, weights["pooler.weight"], weights["pooler.bias"])),
    ),
}
deberta = dict(
    length=14, tokenizer=bert_tokenizer(), pooler=own_pooler(F.gelu),
    # v1's keys have no bias; of v2 the bias of positions as keys is the one that nothing depends on.
    key_bias=".pos_key_proj.bias",
)
both = dict(relative_attention=True, pos_att_type=["c2p", "p2c"], position_biased_input=False, max_position_embeddings=20)
buckets = both | dict(position_buckets=8, norm_rel_ebd="layer_norm", share_att_key=True)
biased = lambda mask: (torch.arange(mask.shape[1]) + P).expand_as(mask)
architectures |= {
    "deberta": deberta | dict(config=DebertaConfig(**sizes, **both | dict(max_relative_positions=8))),
    "deberta-c2p": deberta | dict(
        config=DebertaConfig(
            **sizes, relative_attention=True, pos_att_type="c2p", max_position_embeddings=20, type_vocab_size=2,
            embedding_size=10,
        ),
        behind_prompt=biased,
    ),
    "deberta-p2c": deberta | dict(config=DebertaConfig(**sizes, **both | dict(pos_att_type="p2c"))),
    "deberta-v2": deberta | dict(config=DebertaV2Config(**sizes, **buckets, conv_kernel_size=3, conv_act="gelu")),
    "deberta-v2-unshared": deberta | dict(config=DebertaV2Config(**sizes, **both, max_relative_positions=8)),
    "deberta-v3": deberta | dict(config=DebertaV2Config(**sizes, **buckets)),
}
modern_sizes = sizes | dict(num_hidden_layers=4, max_position_embeddings=40, local_attention=8, pad_token_id=0)
for token in ("bos", "eos", "cls", "sep"):
    modern_sizes[f"{token}_token_id"] = 2 if token in ("bos", "cls") else 3
modern = dict(length=30, tokenizer=bert_tokenizer(), pooler=None, key_bias="no such")
architectures |= {
    "modernbert": modern | dict(config=ModernBertConfig(**modern_sizes)),
    "modernbert-biases": modern | dict(
        config=ModernBertConfig(**modern_sizes, norm_bias=True, attention_bias=True, mlp_bias=True)
    ),
}
architectures["nomic"] = dict(
    config=NomicBertConfig(**sizes, max_position_embeddings=40, rope_parameters=dict(rope_type="default", rope_theta=100.0)),
    length=20, tokenizer=bert_tokenizer(), pooler=own_pooler(torch.tanh), key_bias="no such",
)


glm = SimpleNamespace(
    model_type="glm", num_layers=3, num_hidden_layers=3, hidden_size=16, num_attention_heads=2, vocab_size=40,
    max_sequence_length=20, block_position_encoding=True, attention_scale=1.0, pad_token_id=0,
)
architectures["glm"] = dict(
    config=glm, length=11, tokenizer=bert_tokenizer(), pooler=own_pooler(torch.tanh), key_bias="no such"
)


# Those that take prefixes in PEFT.
peft_checked = ("camembert", "electra", "electra-same-width")


def peft_logits(model, config, folder, params, frozen, ids, types, mask):
    """The same function by transformers and PEFT, where PEFT can."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=C).double().eval()
    peft = get_peft_model(model, PrefixTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=P))
    peft.prompt_encoder["default"].embedding.weight.data = params["prompt.embeddings"].detach().clone()
    head = peft.base_model.classifier.modules_to_save["default"]
    for part in ("weight", "bias"):
        getattr(head.dense, part).data = frozen[f"pooler.dense.{part}"].clone()
        getattr(head.out_proj, part).data = params[f"head.{part}"].detach().clone()
    peft.double().eval()
    return peft(input_ids=ids, attention_mask=mask, token_type_ids=types).logits


def deep(draw, layers, width, heads, mlp=False, gate=False):
    columns = 2 * layers * width
    params = {"prompt.gate": draw(layers, heads)} if gate else {}
    if not mlp:
        return params | {"prompt.embeddings": draw(P, columns)}
    return params | {
        "prompt.mlp.embeddings": draw(P, width), "prompt.mlp.in.weight": draw(M, width), "prompt.mlp.in.bias": draw(M),
        "prompt.mlp.out.weight": draw(columns, M), "prompt.mlp.out.bias": draw(columns),
    }


def matrix(params):
    if "prompt.embeddings" in params:
        return params["prompt.embeddings"]
    if "prompt.mlp.in.weight" not in params:
        return None
    wide = F.linear(params["prompt.mlp.embeddings"], params["prompt.mlp.in.weight"], params["prompt.mlp.in.bias"])
    return F.linear(torch.tanh(wide), params["prompt.mlp.out.weight"], params["prompt.mlp.out.bias"])


def make(name, config, length, tokenizer, pooler, key_bias, behind_prompt=None, applications=None, **options):
    torch.manual_seed(4711)
    target = golden / name
    target.mkdir(parents=True, exist_ok=True)
    model = Glm(config) if name == "glm" else AutoModel.from_config(config, **options)
    for parameter in model.parameters():
        # Wider than the usual 0.02: attention should differ from uniform, and every gradient should matter.
        parameter.data = torch.randn_like(parameter) * 0.4
    config.architectures = [type(model).__name__]
    # Rounded to float32, the precision in which weights are stored.
    if name == "glm":
        save_file(model.state_dict(), target / "model.safetensors", {"format": "pt"})
        (target / "config.json").write_text(json.dumps(vars(config), indent=2) + "\n")
    else:
        model.save_pretrained(target)
    (target / "tokenizer.json").write_text(tokenizer)
    model = model.double().eval()
    weights = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    prompted = Prompted(model)
    layers, heads, E = applications or config.num_hidden_layers, config.num_attention_heads, config.hidden_size
    W = getattr(config, "embedding_size", E)
    every = list(range(layers))

    ids = torch.randint(5, 38, (B, length))
    lengths = [length, length // 2, length - 3, 5]
    mask = torch.zeros(B, length, dtype=torch.long)
    types = torch.zeros(B, length, dtype=torch.long)
    has_types = getattr(config, "type_vocab_size", 0) > 1
    for row, own in enumerate(lengths):
        mask[row, :own] = 1
        if has_types:
            types[row, own // 2 : own] = row % 2
        ids[row, own:] = config.pad_token_id
    labels = torch.tensor([0, 2, 1, 2])

    p_tuning = lambda **options: {"name": "p-tuning-v2", "options": {"promptLength": P, **options}}
    prompts = lambda **options: {"name": "prompt-tuning", "options": {"promptLength": P, **options}}
    every_weight = lambda k: not k.endswith(key_bias)
    biases = lambda k: k.endswith(("bias")) and every_weight(k)
    # method, pooling, tensors of its own, layers with a prompt, weights that are trained, row that is pooled
    runs = [
        (p_tuning(), "mean", lambda d: deep(d, layers, E, heads), every, None, 0),
        (p_tuning(), "pooler", lambda d: deep(d, layers, E, heads), every, None, 0),
        (p_tuning(promptLayers={"last": 1}), "pooler", lambda d: deep(d, 1, E, heads), every[-1:], None, 0),
        (p_tuning(promptLayers={"first": 2}, gate=True), "mean", lambda d: deep(d, 2, E, heads, gate=True), every[:2], None, 0),
        (p_tuning(reparameterization="mlp", prefixHiddenSize=M), "cls", lambda d: deep(d, layers, E, heads, mlp=True), every, None, 0),
        (prompts(), "mean", lambda d: {"prompt.input": d(P, W)}, [], None, P),
        (prompts(), "pooler", lambda d: {"prompt.input": d(P, W)}, [], None, P),
        (prompts(pooledRow=0), "cls", lambda d: {"prompt.input": d(P, W)}, [], None, 0),
        ({"name": "bitfit", "options": {}}, "mean", lambda d: {}, [], biases, 0),
        ({"name": "fine-tuning", "options": {}}, "mean", lambda d: {}, [], every_weight, 0),
        ({"name": "fine-tuning", "options": {}}, "cls", lambda d: {}, [], every_weight, 0),
    ]
    cases, tensors = [], {}
    for method, pooling, own, prompted_layers, trains, row in runs:
        generator = torch.Generator().manual_seed(len(cases))
        draw = lambda *shape: torch.randn(*shape, generator=generator).float().double().mul(0.5)
        params = own(draw) | {"head.weight": draw(C, E), "head.bias": draw(C)}
        params = {k: v.clone().requires_grad_() for k, v in params.items()}
        if pooler is None and pooling == "pooler":
            pooling = "cls"
        if method["name"] == "bitfit" and not any(map(biases, weights)):
            continue
        frozen = {"pooler.dense.weight": draw(E, E), "pooler.dense.bias": draw(E)} if pooling == "pooler" else {}
        trained = {k: v.clone().requires_grad_() for k, v in weights.items() if trains and trains(k)}
        inputs = dict(attention_mask=mask)
        if prompted_layers and behind_prompt:
            inputs["position_ids"] = behind_prompt(mask)
        count = 0
        if "prompt.input" in params:
            count = P
            table = model.get_input_embeddings().weight
            vectors = params["prompt.input"].expand(B, -1, -1)
            inputs = dict(
                inputs_embeds=torch.cat([vectors, table[ids]], 1), attention_mask=F.pad(mask, (P, 0), value=1)
            )
        else:
            inputs["input_ids"] = ids
        if has_types:
            inputs["token_type_ids"] = F.pad(types, (count, 0))
        states = prompted.states(matrix(params), prompted_layers, params.get("prompt.gate"), trained, **inputs)
        if pooling == "mean":
            share = mask.to(states.dtype)[:, :, None]
            features = (states[:, count:] * share).sum(1) / share.sum(1)
        else:
            features = states[:, row]
            if pooling == "pooler":
                features = pooler(features, weights, frozen)
        logits = F.linear(features, params["head.weight"], params["head.bias"])
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        if name in peft_checked and pooling == "pooler" and "prompt.embeddings" in params and prompted_layers == every:
            theirs = peft_logits(model, config, target, params, frozen, ids, types, mask)
            assert (theirs - logits).abs().max() < 1e-12, (name, (theirs - logits).abs().max())
        key = f"case{len(cases)}"
        lacks_pooler = not any(k.startswith("pooler") for k in weights)
        tensors |= {f"{key}.frozen.{k}": v for k, v in frozen.items() if lacks_pooler}
        cases.append({"key": key, "method": method, "pooling": pooling, "loss": loss.item()})
        tensors |= {f"{key}.param.{k}": v.detach().clone() for k, v in params.items()}
        tensors |= {f"{key}.grad.{k}": v.grad for k, v in params.items()}
        tensors |= {f"{key}.weight.{k}": v.grad for k, v in trained.items() if v.grad is not None}
        tensors[f"{key}.logits"] = logits.detach()
    save_file({k: v.contiguous() for k, v in tensors.items()}, target / "golden.safetensors")
    for file in target.iterdir():
        file.chmod(0o644)
    (target / "golden.json").write_text(json.dumps({
        "torch": torch.__version__, "labels": labels.tolist(), "inputIds": ids.tolist(),
        "tokenTypeIds": types.tolist(), "attentionMask": mask.tolist(), "cases": cases,
    }) + "\n")
    print(f"{name}: {len(cases)} cases, {sum(f.stat().st_size for f in target.iterdir())} bytes")


def make_mpnet_buckets():
    """The bucket of every distance within 512 positions, key minus query from −511 to 511."""
    buckets = MPNetEncoder.relative_position_bucket(torch.arange(-511, 512))
    (golden / "mpnet" / "buckets.json").write_text(json.dumps(buckets.tolist()) + "\n")


def make_words(name, config, length, tokenizer, **_):
    """ARCHITECTURE-words/: a checkpoint with its masked-LM head, and what it says of every word at every position."""
    torch.manual_seed(4712)
    target = golden / f"{name}-words"
    target.mkdir(parents=True, exist_ok=True)
    model = AutoModelForMaskedLM.from_config(config)
    for parameter in model.parameters():
        parameter.data = torch.randn_like(parameter) * 0.4
    model.save_pretrained(target)
    (target / "tokenizer.json").write_text(tokenizer)
    model = model.double().eval()
    attention_modules(model.base_model)
    for module in model.modules():
        module.prompts = [None] * 99
    ids = torch.randint(5, 38, (3, length))
    mask = (torch.arange(length) < torch.tensor([[length], [4], [length - 2]])).long()
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    tensors = {"ids": ids.int(), "mask": mask.int(), "logits": logits}
    save_file({k: v.contiguous() for k, v in tensors.items()}, target / "words.safetensors")
    for file in target.iterdir():
        file.chmod(0o644)
    print(f"{name}: words, {sum(f.stat().st_size for f in target.iterdir())} bytes")


for wanted in sys.argv[1:] or architectures:
    make(wanted, **architectures[wanted])
    if wanted in ("mpnet", "electra", "distilbert", "albert", "modernbert", "nomic"):
        make_words(wanted, **architectures[wanted])
    if wanted == "mpnet":
        make_mpnet_buckets()
