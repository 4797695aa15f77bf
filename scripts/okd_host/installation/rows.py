"""One machine as documents describe it: a row of the machine table.

Owns reading rows. Does not own the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

BOOTSTRAP, CONTROL_PLANE, COMPUTE = "bootstrap", "control-plane", "compute"


class Row(NamedTuple):
    """One machine; `uuid` is its domain's, in lower case, where a document tells it."""

    name: str
    fqdn: str
    role: str
    address: str
    mac: str
    uuid: str = ""

    @staticmethod
    def of(document: Mapping[str, Any]) -> Row:
        """The row of a machine, also of a boot document."""
        fields = {name: str(document[name]) for name in ("name", "fqdn", "role", "address", "mac")}
        return Row(**fields, uuid=str(document.get("uuid") or "").lower())

    def document(self) -> dict[str, str]:
        """The row as a document has it."""
        own = self._asdict()
        return {name: text for name, text in own.items() if text}


def read(documents: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The rows of a list of machines."""
    return [Row.of(document) for document in documents]
