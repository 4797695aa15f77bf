"""In which form each domain is defined: machine type and stylesheet.

Owns that a domain which stands keeps the form that it was made with, since another one would make it anew, and that a
system which is installed keeps the machine type that it was installed on. Does not own the stylesheet of new ones
(domain_xslt.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from cluster.before import DOMAIN, VOLUME
from cluster.changes.standing import MACHINE, Standing


@dataclass(frozen=True)
class Form:
    """`machine` is libvirt's machine type, None for the provider's own choice; `xslt` None for the program's own."""

    machine: str | None = None
    xslt: str | None = None


@dataclass(frozen=True)
class Forms:
    """The forms of a stack's domains, by the machine's name.

    `standing` are those of domains that stay as they are, and `installed` the machine types of others whose root disk
    stays; all others get `machine`.
    """

    machine: str | None = None
    standing: Mapping[str, Form] = field(default_factory=dict)
    installed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, standing: Standing, gone: Set[str], offered: Set[str]) -> Forms:
        """The forms of a stack's domains.

        Args:
            standing: what stands.
            gone: what of it is made anew or removed, as the state names it.
            offered: the machine types that the host offers; empty when that is unknown.
        """
        # Aliases; the provider takes `pc` by itself, and nothing else, so that a host without it has no other way.
        machine = "q35" if "q35" in offered else None
        kept: dict[str, Form] = {}
        installed: dict[str, str] = {}
        for (kind, resource), outputs in standing.resources.items():
            if kind not in (DOMAIN, MACHINE):
                continue
            name, was = resource.removesuffix("-domain"), outputs.get("machine") or None
            xslt = (outputs.get("xml") or {}).get("xslt")
            root = f"{name}-root"
            if resource not in gone and xslt:
                kept[name] = Form(was, xslt)
            elif was and root not in gone and standing.outputs(VOLUME, root) and (not offered or was in offered):
                installed[name] = was
        return cls(machine, kept, installed)

    def form(self, name: str) -> Form:
        """The form of a machine's domain, or of the services host's, by the name of its component."""
        return self.standing.get(name) or Form(self.installed.get(name, self.machine))
