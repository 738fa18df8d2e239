"""docs/api.md from the docstrings of the public names:  python -m ttfs_convert.cli.manual api > docs/api.md"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator

import ttfs_convert

WIDEST = 110  # letters of a signature on one line
FORMS = {  # types of arguments that have a name: the modules that say what they are
    "GivenModel": "onnx_model.given_model",
    "GivenData": "data.given",
    "Arrays": "data.given",
    "InputRange": "lowering.ranges.of_inputs",
    "OneRange": "lowering.ranges.of_inputs",
    "Sizes": "onnx_model.input_sizes",
}


def api_reference() -> str:
    """The whole text of docs/api.md."""
    found = {name: getattr(ttfs_convert, name) for name in ttfs_convert.__all__ if not name.startswith("_")}
    functions = {name: each for name, each in found.items() if inspect.isfunction(each)}
    records = {name: each for name, each in found.items() if inspect.isclass(each) and not issubclass(each, Exception)}
    errors = {name: each for name, each in found.items() if inspect.isclass(each) and issubclass(each, Exception)}
    parts = ["# Python API", "", "Generated from the docstrings by `python -m ttfs_convert.cli.manual api > docs/api.md`.", ""]
    parts += [_code(inspect.cleandoc(ttfs_convert.__doc__ or "").split("\n\n")[1]), "", "## Functions", ""]
    for name, each in functions.items():
        parts += [f"### {name}", "", _code(_signature(name, each)), "", _with_items(inspect.getdoc(each) or ""), ""]
    parts += ["## Types of arguments", "", _code("\n".join(_form(name, module) for name, module in FORMS.items())), "", "## Records", ""]
    for name, each in records.items():
        parts += _record(name, each, "###")
        for inner in _inside(each):
            parts += _record(inner.__name__, inner, "####")
    parts += ["## Errors", ""]
    for name, each in errors.items():
        parts += [f"### {name}", "", f"Of {each.__mro__[1].__name__}. {inspect.getdoc(each)}", ""]
    return "\n".join(parts).rstrip() + "\n"


def _code(text: str) -> str:
    return f"```python\n{textwrap.dedent(text)}\n```"


def _with_items(doc: str) -> str:
    """Each argument that a line of its own begins with as an item of a list."""
    return re.sub(r"^(\w+(?:, \w+)*): ", r"- `\1`: ", doc, flags=re.M)


def _form(name: str, module: str) -> str:
    """How the type is written where it is defined, with its comment."""
    source = inspect.getsource(importlib.import_module(f"ttfs_convert.{module}"))
    (written,) = re.findall(rf"^{name}(?:: TypeAlias)? = (.*)$", source, re.M)
    return f"{name} = {written}"


def _signature(name: str, function) -> str:
    """As it is written, defaults that are functions as `...`."""
    signature = inspect.signature(function)
    back = "" if signature.return_annotation is inspect.Signature.empty else f" -> {_plain(signature.return_annotation)}"
    shown, star = [], False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            shown, star = [*shown, "*"], True
        prefix = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        annotation = "" if parameter.annotation is parameter.empty else f": {_plain(parameter.annotation)}"
        default = "" if parameter.default is parameter.empty else f" = {'...' if callable(parameter.default) else repr(parameter.default)}"
        shown.append(f"{prefix}{parameter.name}{annotation}{default}")
    line = f"{name}({', '.join(shown)}){back}"
    return line if len(line) <= WIDEST else "\n".join([f"{name}(", *(f"    {each}," for each in shown), f"){back}"])


def _plain(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _record(name: str, kind: type, level: str) -> list[str]:
    """Its meaning, its fields with the comments beside them, its methods and properties."""
    doc = kind.__doc__ or ""
    parts = [f"{level} {name}", "", "" if doc.startswith(f"{name}(") else _with_items(inspect.cleandoc(doc)), ""]
    fields = list(_fields(kind))
    if any(comment for _, _, comment in fields):
        parts += ["| field | type | meaning |", "|---|---|---|"]
        parts += [f"| `{field}` | `{annotation}` | {comment} |".replace(" | None`", " \\| None`") for field, annotation, comment in fields]
        parts += [""]
    for member, value in vars(kind).items():
        if member.startswith("_") or member in ("model_config",):
            continue
        if isinstance(value, property) and inspect.getdoc(value):
            parts += [f"- `.{member}`: {_one_line(value)}"]
        elif inspect.isfunction(value) and inspect.getdoc(value):
            parts += [f"- `.{' '.join(_signature(member, value).split())}`: {_one_line(value)}"]
    return [*parts, ""]


def _one_line(member: object) -> str:
    return " ".join((inspect.getdoc(member) or "").split())


def _fields(kind: type) -> Iterator[tuple[str, str, str]]:
    """(name, type, comment) of every field that is not private."""
    source = textwrap.dedent(inspect.getsource(kind))
    lines, (definition,) = source.splitlines(), ast.parse(source).body
    for node in getattr(definition, "body", ()):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not node.target.id.startswith("_"):
            rest = re.search(r"#\s*(.*)$", lines[(node.end_lineno or 1) - 1][node.end_col_offset or 0 :])
            yield node.target.id, ast.unparse(node.annotation).replace("|", "\\|"), (rest.group(1) if rest else "").replace("|", "\\|")


def _inside(kind: type) -> list[type]:
    """Records of the same module that its fields, and theirs, are made of."""
    found: list[type] = []
    for _, annotation, _ in _fields(kind):
        for word in re.findall(r"\w+", annotation):
            inner = getattr(sys.modules[kind.__module__], word, None)
            if inspect.isclass(inner) and inner.__module__ == kind.__module__ and (dataclasses.is_dataclass(inner) or hasattr(inner, "model_fields")):
                found += [each for each in (inner, *_inside(inner)) if each not in found]
    return found
