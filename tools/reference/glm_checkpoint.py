"""A checkpoint of GLM of any size with random weights, as torch.save writes it: pytorch_model.bin in fp16, beside the config.json
that its size is read from. One tensor is in memory at a time: torch lays out the file, the numbers are put in their places.

Usage: glm_checkpoint.py FOLDER
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

folder = Path(sys.argv[1])
config = json.loads((folder / "config.json").read_text())
E, V, rows = config["hidden_size"], config["vocab_size"], config["max_sequence_length"] + 1
shapes = {"word_embeddings.weight": (V, E)}
shapes |= {f"transformer.{kind}_embeddings.weight": (rows, E) for kind in ("position", "block_position")}
linears = {
    "attention.query_key_value": (3 * E, E), "attention.dense": (E, E), "mlp.dense_h_to_4h": (4 * E, E), "mlp.dense_4h_to_h": (E, 4 * E),
}
for layer in range(config["num_layers"]):
    at = f"transformer.layers.{layer}"
    for name, shape in linears.items():
        shapes |= {f"{at}.{name}.weight": shape, f"{at}.{name}.bias": shape[:1]}
    for name in ("input_layernorm", "post_attention_layernorm"):
        shapes |= {f"{at}.{name}.weight": (E,), f"{at}.{name}.bias": (E,)}
shapes |= {"transformer.final_layernorm.weight": (E,), "transformer.final_layernorm.bias": (E,)}

path = folder / "pytorch_model.bin"
# No page of these is ever touched.
state = {name: torch.empty(shape, dtype=torch.float16) for name, shape in shapes.items()}
with torch.serialization.skip_data():
    torch.save(state, path)
reader = torch._C.PyTorchFileReader(str(path))
starts = [reader.get_record_offset(f"data/{i}") for i in range(len(shapes))]
random = np.random.default_rng(1)
# One stretch of normal numbers, read at random places: quick, and no two tensors are alike.
pool = (random.standard_normal(1 << 22) * 0.02).astype(np.float16)
ones = np.ones(E, np.float16)
piece = 1 << 21
with path.open("r+b", buffering=0) as file:
    for (name, shape), start in zip(shapes.items(), starts):
        file.seek(start)
        left = int(np.prod(shape))
        while left > 0:
            count = min(left, piece)
            at = random.integers(len(pool) - count + 1)
            left -= file.write(ones if name.endswith("layernorm.weight") else pool[at : at + count]) // 2
print(json.dumps({"parameters": sum(int(np.prod(shape)) for shape in shapes.values())}))
