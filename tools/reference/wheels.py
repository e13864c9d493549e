"""Functions out of single files of the wheels in wheels.txt, which are fetched once to .cache/wheels and never installed."""

import __future__

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

here = Path(__file__).resolve().parent
folder = here.parents[1] / ".cache" / "wheels"


def fetch():
    """Downloads the wheels where they are missing; pip checks their hashes."""
    ready = folder / "ready"
    pins = (here / "wheels.txt").read_text()
    if ready.exists() and ready.read_text() == pins:
        return
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--require-hashes", "-r", here / "wheels.txt", "-d", folder], check=True, stdout=sys.stderr)
    ready.write_text(pins)


def functions(path, **given):
    """The functions that a file inside one of the wheels defines, by name.

    Of its imports those of the standard library and numpy are executed; `given` stands in for what the functions
    need of the others.
    """
    fetch()
    (wheel,) = folder.glob(f"{path.split('/')[0]}-*.whl")
    tree = ast.parse(zipfile.ZipFile(wheel).read(path).decode())
    known = {*sys.stdlib_module_names, "numpy"}

    def is_wanted(node):
        if isinstance(node, ast.Import):
            return all(name.name.split(".")[0] in known for name in node.names)
        if isinstance(node, ast.ImportFrom):
            return node.level == 0 and node.module.split(".")[0] in known
        return isinstance(node, ast.FunctionDef)

    tree.body = [node for node in tree.body if is_wanted(node)]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
    # Annotations name things that were left out.
    flags = __future__.annotations.compiler_flag
    names = dict(given)
    exec(compile(tree, path, "exec", flags=flags, dont_inherit=True), names)
    return names
