"""The machines' architectures: which there are, what Go calls them, and for which of them machines can start.

Owns that one table, and the refusal of those without a boot loader. Does not own the boot loaders (host_os.py): all of
them are for BIOS, and machines of other architectures than x86_64 have none.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from cluster.values import as_text, refused

# Release images name architectures as Go does.
GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# With boot loaders for another firmware, another architecture is one more word here.
BOOTABLE = ("x86_64",)


def architecture(value: Any) -> str:
    """An architecture whose machines can start, by the kernel's name for it."""
    text = as_text(value, "an architecture")
    if text in BOOTABLE:
        return text
    known = {alias: name for name, go in GO_ARCHITECTURES.items() for alias in (name, go)}
    meant = known.get(text.lower())
    if meant in BOOTABLE:
        raise refused("not the kernel's name for it, by which release and boot image are chosen", f"write {meant}")
    if meant is None:
        raise refused("no architecture that a release of OKD is made for", f"write {' or '.join(BOOTABLE)}")
    raise refused(
        "its machines start by UEFI, and the boot loaders of the services host are for BIOS: none would boot from the "
        "network",
        f"take a libvirt host and a release of {' or '.join(BOOTABLE)}",
    )


Architecture = Annotated[str, BeforeValidator(architecture), WithJsonSchema({"type": "string", "enum": list(BOOTABLE)})]
