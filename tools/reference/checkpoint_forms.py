"""One checkpoint as it is met in the wild: every form of files, of names and of numbers, written by torch and safetensors.

FOLDER/NAME holds a form; where its numbers are not those of SOURCE (16 bits), FOLDER/NAME-twin holds them as float32
safetensors. Prints the names as JSON: {"NAME": "folder of the twin"}.

Usage: checkpoint_forms.py SOURCE FOLDER
"""

import json
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

source, out = Path(sys.argv[1]), Path(sys.argv[2])
weights = OrderedDict(load_file(source / "model.safetensors"))
prefix = json.loads((source / "config.json").read_text())["model_type"] + "."
bare = OrderedDict((name.removeprefix(prefix), value) for name, value in weights.items())
twins: dict[str, str] = {}


def start(name: str, twin: dict[str, torch.Tensor] | None = None) -> Path:
    def folder(name: str) -> Path:
        path = out / name
        shutil.copytree(source, path, ignore=shutil.ignore_patterns("model.safetensors"))
        return path

    twins[name] = str(source)
    if twin is not None:
        path = folder(f"{name}-twin")
        save_file({key: value.float().contiguous() for key, value in twin.items()}, path / "model.safetensors")
        twins[name] = str(path)
    return folder(name)


def saved(name: str, state: dict, twin: dict[str, torch.Tensor] | None = None, **options: object) -> None:
    torch.save(state, start(name, twin) / "pytorch_model.bin", **options)


def shards(state: dict, folder: Path, stem: str, ending: str, save) -> None:
    count = 3
    names = sorted(state)
    places = {name: f"{stem}-{i * count // len(names) + 1:05}-of-{count:05}.{ending}" for i, name in enumerate(names)}
    for file in set(places.values()):
        save(OrderedDict((name, state[name]) for name in names if places[name] == file), folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / f"{stem}.{ending}.index.json").write_text(json.dumps(index))


def renamed(wrapper: str, inner: str) -> OrderedDict:
    """Heads stand beside the encoder, whose names may have a prefix of their own."""
    own = lambda name: name if name.startswith("cls.") else inner + name
    return OrderedDict((wrapper + own(name), value) for name, value in bare.items())


saved("zip", weights)
saved("legacy", weights, _use_new_zipfile_serialization=False)
shards(weights, start("shards"), "pytorch_model", "bin", torch.save)
shards(weights, start("safetensors-shards"), "model", "safetensors", save_file)
# As transformers saved models: attributes, parameters, aliases of one storage, numbers of positions.
wild = OrderedDict((name, torch.nn.Parameter(value)) for name, value in renamed("", prefix).items())
wild[f"{prefix}embeddings.position_ids"] = torch.arange(48)[None].expand(1, -1)
table = wild[f"{prefix}embeddings.word_embeddings.weight"]
wild["cls.predictions.decoder.weight"] = table
wild["cls.predictions.decoder.bias"] = wild["cls.seq_relationship.bias"] = torch.randn(len(table))
wild["classifier.weight"] = torch.randn(2, table.shape[1])
wild._metadata = OrderedDict({"": {"version": 1}})
saved("wild", wild)
saved("wild-legacy", wild, _use_new_zipfile_serialization=False)
for wrapper in ["", "module.", "0.auto_model.", "module.0.auto_model."]:
    for inner in ["", prefix]:
        if (renaming := renamed(wrapper, inner)).keys() == weights.keys():
            continue
        saved(f"names-{wrapper}{inner}", renaming)
old = {".LayerNorm.weight": ".LayerNorm.gamma", ".LayerNorm.bias": ".LayerNorm.beta"}
saved("tensorflow", {next((n.replace(a, b) for a, b in old.items() if n.endswith(a)), n): v for n, v in weights.items()})
for wrapper in ["module", "state_dict", "model"]:
    saved(f"in-{wrapper}", {"epoch": 3, "best": 0.5, wrapper: weights, "history": [1, 2.5, None]})
for dtype, name in [(torch.float16, "fp16"), (torch.bfloat16, "bf16")]:
    half = OrderedDict((name, value.to(dtype)) for name, value in weights.items())
    saved(name, half, half)
    saved(f"{name}-legacy", half, half, _use_new_zipfile_serialization=False)
    save_file(half, start(f"{name}-safetensors", half) / "model.safetensors")
    # Norms in 32 bits, as mixed training keeps them.
    mixed = OrderedDict((n, weights[n] if "LayerNorm" in n else value) for n, value in half.items())
    saved(f"{name}-mixed", mixed, mixed)
    shards(half, start(f"{name}-shards", half), "pytorch_model", "bin", torch.save)
saved("fp64", OrderedDict((name, value.double()) for name, value in weights.items()))
save_file({name: value.double() for name, value in weights.items()}, start("fp64-safetensors") / "model.safetensors")
# Matrices that lie transposed, and a table that is a cut of a wider one.
turned = OrderedDict((n, v.t().contiguous().t() if v.dim() == 2 else v) for n, v in weights.items())
saved("turned", turned)
saved("turned-legacy", turned, _use_new_zipfile_serialization=False)
cut = OrderedDict((n, torch.cat([v, v], dim=-1)[..., : v.shape[-1]]) for n, v in weights.items())
saved("cut", cut)
# All weights in one storage, one after another.
flat = torch.cat([value.flatten() for value in weights.values()])
places = flat.split([value.numel() for value in weights.values()])
saved("one-storage", OrderedDict((n, part.view(v.shape)) for (n, v), part in zip(weights.items(), places)))
print(json.dumps(twins))
