"""Odd but valid CSV, TSV and JSON lines, and what Python's csv and json read from them: test/golden/odd.json."""

import base64
import csv
import io
import json
import pathlib

separated = {
    "plain": 'a,b\n1,2\n3,4\n',
    "no end": 'a,b\n1,2',
    "crlf": 'a,b\r\n1,2\r\n3,4\r\n',
    "cr": 'a,b\r1,2\r3,4\r',
    "mixed ends": 'a,b\n1,2\r\n3,4\r5,6\n',
    "byte order mark": '\ufeffa,b\n1,2\n',
    "byte order mark and quotes": '\ufeff"a","b"\n"1","2"\n',
    "quoted line ends": 'a,b\n"x\ny","p\r\nq"\n"r\rs",2\n',
    "doubled quotes": 'a,b\n"say ""hi""",""""\n"""",""\n',
    "quoted delimiter": 'a,b\n"1,5","2,5"\n',
    "empty fields": 'a,b\n,\n1,\n,2\n',
    "blank lines": 'a,b\n\n1,2\n\n\n3,4\n\n',
    "white space": 'a,b\n  1 ,\t2\t\n" 3 "," "\n',
    "line separators": 'a,b\n\u2028x\u2029,\u0085y\n\x0bz\x0c,\xa0\n',
    "unicode": 'a,b\nnaïve 東京,😀 e\u0301\n"😀","\u200d"\n',
    "controls": 'a,b\n\x01\x02,\x7f\x1b[0m\n',
    "quotes in the header": '"a","b"\n1,2\n',
    "many rows": 'a,b\n' + ''.join(f'{i},"{i}\n"\n' for i in range(100)),
    "long field": 'a,b\n' + 'x' * 20_000 + ',2\n',
    "backslashes": 'a,b\n\\,\\n\n"\\",2\n',
    "single quotes": "a,b\n'1,2'\n'',''\n",
}
tabs = {
    "bare quotes": 'a\tb\n"x\ty"\n""\t"\nit"s\t5" disk\n',
    "empty and blank": 'a\tb\n\t\n 1\t2 \n\n',
    "crlf": 'a\tb\r\n1\t2\r\n',
    "commas": 'a\tb\n1,2\t3,4\n',
    "line separators": 'a\tb\n\u2028\t\u0085\n',
}
lines = {
    "escapes": '{"a": "\\u00e9\\n\\t\\"\\\\\\/\\b\\f"}\n{"a": "\\ud83d\\ude00"}\n',
    "lone surrogate": '{"a": "x\\ud800y"}\n',
    "crlf": '{"a": 1}\r\n{"a": 2}\r\n',
    "no end": '{"a": 1}',
    "white space": '  {"a" :\t1 }  \n\n   \n{ "a":2}\n',
    "line separators": '{"a": "\u2028\u2029\u0085"}\n',
    "duplicate keys": '{"a": 1, "a": 2}\n',
    "odd keys": '{"": 1, "__proto__": 2, "a b": 3, "constructor": 4}\n',
    "large integers": '{"a": 12345678901234567890, "b": -9007199254740993, "c": 9007199254740991, "d": "12345678901234567890"}\n',
    "floats": '{"a": 1.5e3, "b": -0.18730361065154566, "c": 1E-7, "d": 12345678901234567.5}\n',
    "nested": '{"a": [[1, [2]], {"b": null}], "c": {"d": [true, false]}}\n',
    "deep": '{"a": ' + '[' * 100 + ']' * 100 + '}\n',
    "byte order mark": '\ufeff{"a": 1}\n',
    "unicode": '{"東京": "naïve 😀 e\u0301"}\n',
}


def table(text, **options):
    rows = [row for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), **options) if row]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def exact(value):
    """Integers that a double cannot hold are read as texts."""
    if isinstance(value, dict):
        return {key: exact(one) for key, one in value.items()}
    if isinstance(value, list):
        return [exact(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53 - 1:
        return str(value)
    return value


cases = []
for format, files, read in [
    ("csv", separated, table),
    ("tsv", tabs, lambda text: table(text, delimiter="\t", quoting=csv.QUOTE_NONE)),
    ("jsonl", lines, lambda text: [exact(json.loads(line)) for line in text.removeprefix("\ufeff").split("\n") if line.strip()]),
]:
    for name, text in files.items():
        content = base64.b64encode(text.encode("utf-8")).decode()
        # Rows as JSON text, so that keys such as __proto__ stay what they are.
        cases.append({"format": format, "name": name, "content": content, "rows": [json.dumps(row) for row in read(text)]})

path = pathlib.Path(__file__).parents[2] / "test" / "golden" / "odd.json"
path.write_text(json.dumps(cases, indent=1) + "\n")
