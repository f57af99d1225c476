"""Fill a template of ``templates/`` and write it as one HTML file with its style and script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib import resources

from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import counted

GENERATOR = "pyimagesearch report"
PACKAGE = "jinja2"
_SCRIPTS = ("data", "verdicts", "pictures", "viewer", "list", "files", "input")


def write_page(path: str, template: str, **content: object) -> None:
    """Write a page; Jinja2 is imported here, since only reports need it.

    Args:
        path: of the HTML file.
        template: name of a file in ``templates/``.
        content: values of the template's variables.

    Raises:
        OSError: the file cannot be written.
    """
    import jinja2
    from markupsafe import Markup

    def safe_json(value: object) -> Markup:
        """JSON that cannot end the element that contains it."""
        return jinja2.utils.htmlsafe_json_dumps(value, separators=(",", ":"))

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pyimagesearch.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"json": safe_json, "counted": _counted, "number": "{:.4g}".format}
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    folder = resources.files("pyimagesearch.reports") / "templates"
    style = (folder / "page.css").read_text("utf-8")
    script = _in_own_scope((folder / f"page_{name}.js").read_text("utf-8") for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    pieces = environment.get_template(template).generate(
        generator=GENERATOR,
        style=Markup(style),
        script=Markup(script),
        script_digest=digest,
        **content,
    )
    with atomic_files.atomic_write(path) as file:
        for piece in pieces:
            file.write(piece.encode())


def _in_own_scope(scripts: Iterable[str]) -> str:
    """Scripts as one, whose names are its own; a page that is one file cannot load modules."""
    return '"use strict";\n(() => {\n' + "\n".join(scripts) + "})();\n"


def _counted(number: int, noun: str, plural: str | None = None) -> str:
    return counted(number, noun) if plural is None or number == 1 else f"{number:,} {plural}"
