"""The versions this project stands on, each in one place.

Owns: the versions of the engine and of the plugins. The plugins' versions are those that the SDKs pinned in
requirements.txt ask for (tests/toolchain compares them); with any other version the engine would try a download.
"""

from __future__ import annotations

from dataclasses import dataclass

PULUMI = "3.257.0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """One provider plugin: `sources` are the paths (below plugins/) that its binary is built from."""

    name: str
    version: str
    sources: tuple[str, ...]

    @property
    def binary(self) -> str:
        """The executable's name."""
        return f"pulumi-resource-{self.name}"


PLUGINS = (
    Plugin(
        name="random",
        version="4.21.4",
        sources=("cmd/pulumi-resource-random", "internal/bridged", "randomshim"),
    ),
    Plugin(name="libvirt", version="0.5.4", sources=("cmd/pulumi-resource-libvirt", "internal/bridged")),
    Plugin(name="tls", version="5.6.2", sources=("cmd/pulumi-resource-tls", "internal/tlsplugin")),
    Plugin(name="command", version="1.2.1", sources=("cmd/pulumi-resource-command", "internal/command")),
)


def at_least(found: str, wanted: str) -> bool:
    """Tell whether one dotted version is as new as another, by their numbers."""

    def numbers(text: str) -> list[int]:
        return [int("".join(filter(str.isdigit, part)) or 0) for part in text.split("-")[0].split(".")]

    return numbers(found) >= numbers(wanted)
