"""Writes the Parquet files under test/data/fixtures with pyarrow, and what pyarrow reads from them (test/golden).

Run with pyarrow 26.0.1 and datasets 5.2.0 (not among the pinned requirements: nothing else needs them):
  python tools/reference/make_parquet.py
"""
import datetime
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, Sequence, Value, disable_progress_bars

disable_progress_bars()
folder = pathlib.Path(__file__).parents[2] / "test" / "data" / "fixtures"
folder.mkdir(parents=True, exist_ok=True)

texts = [f"text {i} – naïve 😀" for i in range(12)]
table = pa.table({"text": texts, "label": [["a", "b", "c"][i % 3] for i in range(12)]})
pq.write_table(table, folder / "groups.parquet", row_group_size=4)

# Hugging Face features: lists of class labels, SQuAD's struct of lists.
features = Features(
    {
        "id": Value("string"),
        "tokens": Sequence(Value("string")),
        "ner_tags": Sequence(ClassLabel(names=["O", "B-PER", "I-PER"])),
        "label": ClassLabel(names=["no", "yes"]),
        "title": Value("string"),
        "context": Value("string"),
        "question": Value("string"),
        "answers": Sequence({"text": Value("string"), "answer_start": Value("int32")}),
    }
)
rows = {
    "id": ["1", "2", "3"],
    "tokens": [["Ann", "Lee", "left"], [], ["😀"]],
    "ner_tags": [[1, 2, 0], [], [0]],
    "label": [1, 0, -1],
    "title": ["T", "T", "U"],
    "context": ["😀 Ann Lee left", "no answer here", "Bob"],
    "question": ["who?", "why?", "who?"],
    "answers": [
        {"text": ["Ann Lee"], "answer_start": [2]},
        {"text": [], "answer_start": []},
        {"text": ["Bob", "Bob"], "answer_start": [0, 0]},
    ],
}
Dataset.from_dict(rows, features=features).to_parquet(folder / "features.parquet")

# Odd but valid: every codec, page version and encoding that pyarrow writes, nulls, nesting, large integers.
odd = pa.table(
    {
        "text": pa.array(["a", None, "", "\u0000", "e\u0301 😀", '"\n\t'] * 30),
        "int": pa.array([1, -(2**53) - 1, 2**62, None, 0, 7] * 30, pa.int64()),
        "unsigned": pa.array([1, 2**32 - 1, 0, None, 5, 6] * 30, pa.uint32()),
        "float": pa.array([0.5, None, 1e300, -0.0, 1.0, 2.0] * 30, pa.float64()),
        "bool": pa.array([True, False, None, True, True, False] * 30),
        "list": pa.array([["x"], [], None, ["y", None], ["z"] * 3, [""]] * 30, pa.list_(pa.string())),
        "nested": pa.array(
            [[[1, 2], []], [], None, [[3]], [None], [[4, 5, 6]]] * 30, pa.list_(pa.list_(pa.int32()))
        ),
        "struct": pa.array(
            [{"a": 1, "b": ["p"]}, {"a": None, "b": []}, None, {"a": 4, "b": None}, {"a": 5, "b": ["q", "r"]}, {"a": 6, "b": ["s"]}] * 30,
            pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))]),
        ),
        "day": pa.array([datetime.date(2020, 1, 2), None] * 90),
        "dictionary": pa.array(["u", "v", None] * 60).dictionary_encode(),
    }
)


def plain(value):
    """What JSON can hold of a value: integers that a double cannot hold as texts, days as ISO instants."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= 2**53 - 1 else str(value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, datetime.date):
        return f"{value.isoformat()}T00:00:00.000Z"
    return value


files = {}
for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
    for version in ["1.0", "2.0"]:
        name = f"odd-{codec}-{version[0]}.parquet"
        pq.write_table(
            odd, folder / name, compression=codec, data_page_version=version, row_group_size=100, data_page_size=512,
            use_dictionary=version == "1.0",
        )
        files[name] = "odd"
pq.write_table(
    odd, folder / "odd-delta.parquet", row_group_size=120, compression="snappy", use_dictionary=False,
    column_encoding={"text": "DELTA_BYTE_ARRAY", "int": "DELTA_BINARY_PACKED", "float": "BYTE_STREAM_SPLIT"},
)
files["odd-delta.parquet"] = "odd"
metadata = pq.ParquetFile(folder / "groups.parquet").metadata
groups = []
for i in range(metadata.num_row_groups):
    columns = [metadata.row_group(i).column(j) for j in range(2)]
    starts = [column.dictionary_page_offset or column.data_page_offset for column in columns]
    groups.append([min(starts), max(start + column.total_compressed_size for start, column in zip(starts, columns))])
expected = {
    "groups": groups,
    "odd": [{key: plain(value) for key, value in row.items()} for row in pq.read_table(folder / "odd-none-1.parquet").to_pylist()[:6]],
    "rows": odd.num_rows,
    "files": sorted(files),
}
(folder.parents[1] / "golden" / "parquet.json").write_text(json.dumps(expected, ensure_ascii=True, indent=1) + "\n")
