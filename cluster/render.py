"""The one Jinja environment: line-format files from templates and plain values.

Owns that an undefined name, or a value known only at deploy time, is an error and never text in a file. Does not own
what is rendered; structured documents (JSON, YAML) are dumped from dicts instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def _known(value: Any) -> Any:
    # pulumi.Output, recognised by its shape: this package must not import pulumi.
    if hasattr(value, "apply") and hasattr(value, "future"):
        raise TypeError("a value known only at deploy time reached a template; name it by HostFile.value instead")
    return value


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    undefined=StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    finalize=_known,
)


def render(template: str, **values: Any) -> str:
    """The text of `templates/<template>` with the given values.

    Raises:
        jinja2.UndefinedError: the template uses a name that was not given.
        TypeError: a value is a Pulumi Output.
    """
    return _ENVIRONMENT.get_template(template).render(**values)
