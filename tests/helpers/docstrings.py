"""What is wrong with docstrings: they and the signatures must say the same."""

import ast
import inspect
import re
import textwrap

SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Example")


def sections(documentation):
    """The lines below each of the headings."""
    found, heading = {}, None
    for line in inspect.cleandoc(documentation).splitlines():
        if line.endswith(":") and line[:-1] in SECTIONS:
            heading = found.setdefault(line[:-1], [])
        elif line and not line.startswith(" "):
            heading = None
        elif heading is not None:
            heading.append(line)
    return found


def named(lines):
    """The names that entries describe."""
    entries = (re.match(r" {4}(\w+(?:, \w+)*): ", line) for line in lines)
    return [name for entry in entries if entry for name in entry[1].split(", ")]


def disagreements(member):
    """What the docstring of a function or class does not say, or says wrongly."""
    documentation = member.__doc__
    if not documentation:
        yield "no docstring"
        return
    found = sections(documentation)
    is_class = inspect.isclass(member)
    if is_class and (issubclass(member, Exception) or getattr(member, "_is_protocol", False)):
        return  # nobody calls it
    signature = inspect.signature(member)
    parameters = [name for name in signature.parameters if name not in ("self", "cls")]
    # The fields of a dataclass are what it is made from.
    args = named(found.get("Args", found.get("Attributes", []) if is_class else []))
    if sorted(parameters) != sorted(args):
        yield f"takes {parameters}, and describes {args}"
    if is_class:
        return
    returns = signature.return_annotation
    if (returns not in (None, "None")) != ("Returns" in found):
        yield f"returns {returns}, and has the sections {list(found)}"
    source = ast.parse(textwrap.dedent(inspect.getsource(member)))
    if "Raises" not in found and any(isinstance(node, ast.Raise) for node in ast.walk(source)):
        yield "raises, and does not say what"
