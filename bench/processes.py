"""The side of a contender in Python: answers what bench/processes.mjs asks, as JSON lines."""

import json
import re
import sys
import time


def say(**facts):
    print(json.dumps(facts), flush=True)


def status(key):
    """Bytes of a line of /proc/self/status."""
    return int(re.search(rf"{key}:\s+(\d+)", open("/proc/self/status").read()).group(1)) * 1024


def answer_measures(work):
    """For each "measure N" on standard input, the seconds of N calls, until "end" or the end of input."""
    for line in sys.stdin:
        if line.strip() == "end":
            break
        seconds = []
        for _ in range(int(line.split()[1])):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
        say(seconds=seconds)
