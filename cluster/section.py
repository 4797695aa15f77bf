"""One mapping of settings, as every section of a stack's file is.

Owns that an unknown key is an error and how a field's name is written in the file. Does not own any section.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


def _key(name: str) -> str:
    return to_camel(name).replace("Mib", "MiB").replace("Gib", "GiB")


class Section(BaseModel):
    """One mapping of settings; an unknown key is an error, not a silent no-op."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_key)
