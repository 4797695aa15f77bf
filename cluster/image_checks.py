"""Images that machines start from, as far as their names tell.

Owns these cross checks and their harm and fix. Does not own which CoreOS a release takes (release_checks.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cluster.architectures import BOOTABLE
from cluster.settings_problems import Problem, Refused

if TYPE_CHECKING:
    from cluster.settings import Settings

ARCHITECTURES = {"x86_64": ("x86_64", "amd64"), "aarch64": ("aarch64", "arm64")}
PARTS = ("kernel", "initramfs", "rootfs")
SYSTEMS = {"debian-12": ("debian", "bookworm"), "fedora": ("fedora",)}
OTHER_SYSTEMS = re.compile(r"ubuntu|centos|rocky|alma|rhel|suse|alpine|cirros|trixie|bullseye|debian-1[013-9]")
NO_DISK = re.compile(r"\.(iso|ova|ovf|vmdk|vhdx?|vdi|gz|xz|zst|bz2|zip|tar|tgz)$")


def check(settings: Settings, refused: Refused) -> Iterator[Problem]:
    """Every relation that does not hold."""
    known = not refused.touches("release.architecture")
    boot = settings.boot_image
    files = {part: file.location for part in PARTS if (file := getattr(boot, part)) is not None}
    yield from _mixed_up(files)
    for part, location in files.items():
        if known:
            yield from _architecture(settings, f"bootImage.{part}.location", location)
    client = settings.release.client.location
    if known and client is not None:
        yield from _architecture(settings, "release.client.location", client)
        if re.search(r"windows|mac|darwin|openshift-install", _name(client)):
            harm = "not the archive with oc for Linux, which the services host runs"
            yield Problem("release.client.location", client, harm, "take openshift-client-linux-….tar.gz")
    image = settings.services.image.location
    if NO_DISK.search(_name(image)):
        harm = "not a disk image in qcow2 or raw form: the services host would find nothing to start"
        yield Problem("services.image.location", image, harm, "give a cloud image, unpacked, e.g. ….qcow2")


def doubts(settings: Settings) -> Iterator[Problem]:
    """What the name of the services host's image tells against it: a name may be anybody's choice."""
    setting, location = "services.image.location", settings.services.image.location
    yield from _architecture(settings, setting, location)
    wanted, name = settings.services.operating_system, _name(location)
    is_wanted = any(word in name for word in SYSTEMS[wanted])
    another = [one for one, words in SYSTEMS.items() if one != wanted and any(word in name for word in words)]
    if OTHER_SYSTEMS.search(name) or (another and not is_wanted):
        yield Problem(
            setting,
            location,
            f"by its name not {wanted}, whose packages and paths the services host would be set up with",
            f"take an image of {wanted}" + (f", or set services.operatingSystem to {another[0]}" if another else ""),
        )


def _name(location: str) -> str:
    return location.split("?")[0].rsplit("/", 1)[-1].lower()


def _architecture(settings: Settings, setting: str, location: str) -> Iterator[Problem]:
    wanted = settings.release.architecture
    for architecture, words in ARCHITECTURES.items():
        if architecture != wanted and any(word in _name(location) for word in words):
            yield Problem(
                setting,
                location,
                f"made for {architecture}, and the release is of {wanted}: it would not run",
                f"take the one for {wanted}"
                + (f", or set release.architecture to {architecture}" if architecture in BOOTABLE else ""),
            )


def _mixed_up(files: dict[str, str]) -> Iterator[Problem]:
    users: dict[str, str] = {}
    for part, location in files.items():
        setting = f"bootImage.{part}.location"
        first = users.setdefault(location, part)
        others = [word for word in PARTS if word != part and word in _name(location)]
        if first != part:
            yield Problem(setting, location, f"also the {first}: one file cannot be both", f"give the {part}")
        elif others and part not in _name(location):
            harm = f"by its name the {others[0]}, in the place of the {part}: no machine would boot"
            yield Problem(setting, location, harm, f"give the {part}")
        elif _name(location).endswith(".iso"):
            yield Problem(setting, location, "a CD image, which does not boot from the network", f"give the {part}")
