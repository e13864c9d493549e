"""Functions out of single files of the wheels in wheels.txt, which lie in the environment and are not installed."""

import __future__

import ast
import sys
import zipfile
from pathlib import Path


def functions(path, **given):
    """The functions that a file inside one of the wheels defines, by name.

    Of its imports those of the standard library and numpy are executed; `given` stands in for what the functions
    need of the others.
    """
    (wheel,) = (Path(sys.prefix) / "wheels").glob(f"{path.split('/')[0]}-*.whl")
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
