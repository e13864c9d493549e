"""The safetensors of a checkpoint as torch.save writes them: FOLDER/zip and FOLDER/legacy, each a checkpoint beside SOURCE.

Usage: torch_twins.py SOURCE FOLDER
"""

import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

source, out = Path(sys.argv[1]), Path(sys.argv[2])
weights = load_file(source / "model.safetensors")
for form in ["zip", "legacy"]:
    folder = out / form
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "done"))
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=form == "zip")
