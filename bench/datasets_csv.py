"""The Python side of bench/csv.mjs: datasets and fast tokenizers. Prints a JSON line. (A file csv.py would hide Python's own.)

  python bench/datasets_csv.py FILE BACKBONE map|batch
"""

import json
import pathlib
import re
import sys
import tempfile
import time

import datasets
import numpy as np
import tokenizers

datasets.disable_progress_bars()


def status(key):
    text = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(rf"{key}:\s+(\d+)", text)[1]) * 1024


path, backbone, how = sys.argv[1:]
idle = status("VmRSS")
with tempfile.TemporaryDirectory() as cache:
    started = time.perf_counter()
    data = datasets.load_dataset("csv", data_files=path, split="train", cache_dir=cache)
    read = time.perf_counter()
    tokenizer = tokenizers.Tokenizer.from_file(f"{backbone}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)

    def encode(texts):
        encodings = tokenizer.encode_batch_fast(texts)
        return {
            "ids": [np.asarray(encoding.ids, np.int32) for encoding in encodings],
            "types": [np.asarray(encoding.type_ids, np.uint8) for encoding in encodings],
        }

    if how == "map":
        # As the documentation of datasets says: batched, the old columns removed.
        encoded = data.map(lambda rows: encode(rows["text"]), batched=True, remove_columns=data.column_names)
        table = encoded.data.table
        ids = table["ids"].combine_chunks().values.to_numpy()
        bytes_held = table.nbytes
    else:
        # The same without Arrow: straight into flat arrays.
        parts, types, starts = [], [], [0]
        for rows in data.iter(batch_size=1000):
            batch = encode(rows["text"])
            parts.extend(batch["ids"])
            types.extend(batch["types"])
            starts.extend(map(len, batch["ids"]))
        ids, kinds, starts = np.concatenate(parts), np.concatenate(types), np.cumsum(starts, dtype=np.int32)
        bytes_held = ids.nbytes + kinds.nbytes + starts.nbytes
    ended = time.perf_counter()
    result = {
        "seconds": ended - started,
        "readSeconds": read - started,
        "rows": len(data),
        "tokens": len(ids),
        "checksum": int(ids.astype(np.int64).sum() % 1_000_000_007),
        "arrayBytes": bytes_held,
        "peakBytes": status("VmHWM") - idle,
    }
print(json.dumps(result))
