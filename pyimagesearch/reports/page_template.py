"""Fill a template of ``templates/`` and write it as one HTML file with its style and script."""

from __future__ import annotations

import base64
import hashlib
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
    environment.filters["sentence"] = _sentence
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    script, digest = page_script()
    pieces = environment.get_template(template).generate(
        generator=GENERATOR,
        style=Markup(_template("page.css")),
        script=Markup(script),
        script_digest=digest,
        **content,
    )
    with atomic_files.atomic_write(path) as file:
        for piece in pieces:
            file.write(piece.encode())


def page_script() -> tuple[str, str]:
    """The script of pages, and what a content security policy calls it.

    It is one, whose names are its own: a page that is one file cannot load modules.
    """
    parts = "\n".join(_template(f"page_{name}.js") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{parts}}})();\n'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return script, f"'sha256-{digest}'"


def _template(name: str) -> str:
    folder = resources.files("pyimagesearch.reports") / "templates"
    return (folder / name).read_text("utf-8")


def _sentence(message: str) -> str:
    return f"{message[:1].upper()}{message[1:]}."


def _counted(number: int, noun: str, plural: str | None = None) -> str:
    return counted(number, noun) if plural is None or number == 1 else f"{number:,} {plural}"
