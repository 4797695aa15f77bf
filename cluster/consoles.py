"""Consoles: what a machine prints on its serial port, from its first boot on and for good.

Owns which consoles a machine has, and the live system's own ignition config, which is how coreos-installer is told: of
`coreos.inst.*` none is about consoles, and a MachineConfig counts from a node's second boot on and never for the
bootstrap. Does not own where the libvirt host keeps what is printed (installation.py).
"""

from __future__ import annotations

import json
from urllib.parse import quote

from cluster.machines import Machine
from cluster.manifests import IGNITION_VERSION
from cluster.site import Site

# The last one is where init and its services print: the port whose output libvirt keeps.
DEFAULT = ("console=tty0", "console=ttyS0,115200n8")
# Every file of that directory is a set of options that the installer's service is started with.
INSTALLER_OPTIONS = "/etc/coreos/installer.d/okd-libvirt.yaml"


def added(site: Site, machine: Machine) -> tuple[str, ...]:
    """The consoles that the settings do not give: one console of their own takes the place of all of these."""
    return () if _given(site) or _own(machine) else DEFAULT


def live_config(machine: Machine) -> str:
    """The name of the live system's ignition config; one for all machines but those with consoles of their own."""
    return f"live-{machine.name}.ign" if _own(machine) else "live.ign"


def live_configs(site: Site) -> dict[str, str]:
    """Every live system's ignition config by name. It has the installer append the consoles, and holds nothing else."""
    own = [machine for machine in site.machines if _own(machine)]
    return {
        "live.ign": _config(_given(site) or DEFAULT),
        **{live_config(machine): _config((*_given(site), *_own(machine))) for machine in own},
    }


def _given(site: Site) -> tuple[str, ...]:
    return _consoles(site.settings.boot_image.kernel_arguments)


def _own(machine: Machine) -> tuple[str, ...]:
    return _consoles(machine.kernel_arguments)


def _consoles(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(argument for argument in arguments if argument.startswith("console="))


def _config(consoles: tuple[str, ...]) -> str:
    options = "".join(["append-karg:\n", *(f"- {argument}\n" for argument in consoles)])
    # In the clear, since a preview shows it.
    source = f"data:,{quote(options, safe=':,=')}"
    file = {"path": INSTALLER_OPTIONS, "mode": 0o644, "contents": {"source": source}}
    document = {"ignition": {"version": IGNITION_VERSION}, "storage": {"files": [file]}}
    return json.dumps(document, indent=1) + "\n"
