"""Runs reference programs one after the other, each in a child of its own that has the large libraries imported already.

Reads lines of JSON, {"script": path, "args": [...]}, and answers each with {"status", "stdout", "stderr"}.
"""

import json
import os
import runpy
import sys
import tempfile
import traceback
from pathlib import Path

import peft  # noqa: F401
import torch  # noqa: F401
from transformers import (  # noqa: F401
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from transformers.models.bert import modeling_bert  # noqa: F401
from transformers.models.roberta import modeling_roberta  # noqa: F401


def run(script, args):
    """In the child: ends the process."""
    sys.argv = [script, *args]
    sys.path.insert(0, str(Path(script).parent))
    status = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


for line in sys.stdin:
    request = json.loads(line)
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        child = os.fork()
        if child == 0:
            for file, descriptor in ((open(os.devnull), 0), (stdout, 1), (stderr, 2)):
                os.dup2(file.fileno(), descriptor)
            run(request["script"], request["args"])
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = {}
        for name, file in {"stdout": stdout, "stderr": stderr}.items():
            file.seek(0)
            texts[name] = file.read().decode()
    print(json.dumps({"status": status, **texts}), flush=True)
