"""Checkpoints as torch.save writes them, and what torch.load reads from each: FOLDER/NAME.bin and FOLDER/NAME.safetensors,
with the names of the tensors that lie row-major in the file.

Usage: torch_live.py FOLDER SEED COUNT
"""

import json
import random
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
choose = random.Random(seed)
torch.manual_seed(seed)
DTYPES = [
    torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
]


def fresh() -> torch.Tensor:
    dtype = choose.choice(DTYPES[:4] * 3 + DTYPES)
    shape = [choose.choice([0, 1, 1, 2, 3, 5, 8, 13]) for _ in range(choose.randrange(5))]
    if dtype.is_floating_point:
        return torch.randn(shape, dtype=torch.float64).to(dtype)
    return torch.randint(0, 2 if dtype == torch.bool else 100, shape).to(dtype)


def view(x: torch.Tensor) -> torch.Tensor:
    """Another tensor on the same storage."""
    kind = choose.randrange(6)
    if kind == 0 and x.dim() > 1:
        return x.permute(*choose.sample(range(x.dim()), x.dim()))
    if kind == 1 and x.dim() > 0 and x.shape[0] > 1:
        return x[choose.randrange(x.shape[0]) :: choose.randrange(1, 3)]
    if kind == 2 and x.dim() > 0 and x.shape[-1] > 1:
        return x[..., : x.shape[-1] - 1]
    if kind == 3:
        return x[None].expand(choose.randrange(1, 4), *x.shape)
    if kind == 4:
        return x.flatten() if x.is_contiguous() else x
    return x


def state_dict() -> OrderedDict:
    tensors = [fresh() for _ in range(choose.randrange(1, 12))]
    state = OrderedDict()
    for i in range(choose.randrange(1, 25)):
        value = choose.choice(tensors)
        for _ in range(choose.randrange(3)):
            value = view(value)
        if value.is_floating_point() and choose.random() < 0.2:
            value = torch.nn.Parameter(value, requires_grad=choose.random() < 0.5)
        state[f"{choose.choice(['', 'module.', 'größe.'])}layer.{i}.weight"] = value
    return state


files = {}
for i in range(count):
    state = state_dict()
    wrapper = choose.choice([None, None, "module", "state_dict", "model"])
    saved = state
    if choose.random() < 0.5:
        # As modules give it: with attributes.
        state._metadata = OrderedDict({"": {"version": 1}})
    if wrapper is not None:
        saved = {"epoch": 3, "rate": 0.1, "notes": ["a", ("b", None, True)], wrapper: state, "big": 2**40}
    path = folder / f"{i}.bin"
    torch.save(
        saved,
        path,
        pickle_protocol=choose.choice([2, 2, 3, 4, 5]),
        _use_new_zipfile_serialization=choose.random() < 0.5,
    )
    # Its weights_only reader knows protocols 2 and 3 alone; the file is our own.
    loaded = torch.load(path, weights_only=False)
    loaded = loaded if wrapper is None else loaded[wrapper]
    plain = {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in loaded.items()}
    save_file(plain, folder / f"{i}.safetensors")
    files[path.name] = {name: value.is_contiguous() for name, value in loaded.items()}
(folder / "files.json").write_text(json.dumps(files))
