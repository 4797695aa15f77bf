"""Whether the libvirt host answers, and whether this machine has the programs that the provider runs.

Owns telling apart why libvirt did not answer, each reason with its remedy. Does not own what it answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from cluster.places import without_password
from cluster.preflight.look import Finding, Look, refuse, warn

# Debian's and Fedora's packages.
PACKAGES = {
    "virsh": ("libvirt-clients", "libvirt-client"),
    "mkisofs": ("genisoimage", "xorriso"),
    "xsltproc": ("xsltproc", "libxslt"),
    "ssh": ("openssh-client", "openssh-clients"),
}
USES = {
    "virsh": "the libvirt host cannot be looked at before something is made on it",
    "mkisofs": "the provider makes the services host's seed with it",
    "xsltproc": "the provider makes every domain's definition with it",
    "ssh": "the services host, and a libvirt host elsewhere, are asked by it",
}


def findings(look: Look) -> Iterator[Finding]:
    """What keeps the provider from working at all."""
    for program in look.facts.missing:
        debian, fedora = PACKAGES[program]
        yield refuse(
            f"program {program}",
            "",
            f"it is not installed on this machine, and {USES[program]}",
            f"apt-get install {debian} (Fedora: dnf install {fedora})",
        )
    if look.facts.refusal:
        yield _unreachable(look.plan.settings.hypervisor.uri, look.facts.refusal)
    yield from _image(look)


def _image(look: Look) -> Iterator[Finding]:
    image, services = look.facts.image, look.plan.settings.services
    setting, location = "services.image.location", without_password(services.image.location)
    if image.wrong:
        yield refuse(
            setting,
            location,
            f"{image.wrong}, so the services host would have no system to start",
            "in the lab `make image` builds it; elsewhere give the path or URL of a cloud image in qcow2 or raw form, "
            "from a server that answers HEAD and Range",
        )
    if image.silent:
        yield warn(
            setting,
            location,
            f"its server does not answer ({image.silent}): by its name it is taken for {form_by_name(location)}, and "
            "where the libvirt provider gets no answer either, the services host is not made",
            "see that this machine reaches it; or download the image, and give its path",
        )
    if image.size > services.disk_gib * 1024**3:
        yield refuse(
            "services.diskGiB",
            str(services.disk_gib),
            f"the image's own disk has {image.size / 1024**3:.1f} GiB, and does not fit on a smaller one",
            f"write {-(-image.size // 1024**3)} or more",
        )


def form_by_name(location: str) -> str:
    """The form of an image of which nothing but the name is known."""
    return "raw" if location.partition("?")[0].lower().endswith(".raw") else "qcow2"


def _unreachable(uri: str, said: str) -> Finding:
    harm, fix = _reason(uri, said)
    words = without_password(" ".join(line.removeprefix("error: ") for line in said.splitlines()))
    return refuse("hypervisor.uri", uri, f"{harm}, so nothing can be made there ({words})", fix)


def _reason(uri: str, said: str) -> tuple[str, str]:
    """Why libvirt does not answer, and what to do about it."""
    login = uri.partition("://")[2].partition("/")[0] or "HOST"
    host = urlsplit(uri).hostname or "this machine"
    reasons = {
        r"host key verification failed|no matching host key": (
            f"this machine does not know the host key of {host}, or knows another one",
            f"run `ssh {login}` once, compare the fingerprint it shows with the host's own, and accept it",
        ),
        r"permission denied \(|permission denied, please|too many authentication failures": (
            f"{host} refuses the ssh key",
            f"`ssh {login}` must log in without a password: ssh-copy-id {login}, or ssh-add the key that it knows",
        ),
        r"permission denied|polkit|authentication (unavailable|failed|cancel)|access denied|not authorized": (
            "this user may not use libvirt",
            f"add the user to group libvirt on {host} (usermod -aG libvirt USER) and log in again, or run it as root",
        ),
        r"could not resolve|name or service not known|unable to resolve": (
            f"there is no host {host} that this machine's name server knows",
            "correct the host's name, or write its address",
        ),
        r"socket to '[^']+'|virt-ssh-helper|unix socket": (
            f"no libvirt runs on {host}",
            "start it there: systemctl enable --now libvirtd (in the lab: make hypervisor)",
        ),
        r"connection refused|no route to host|timed out|unreachable|did not answer": (
            f"{host} does not answer",
            "check that it runs, that this machine reaches it, and that libvirtd runs there",
        ),
        r"certificate|tls": (
            f"this machine and {host} do not know each other by certificates",
            "install a client certificate and its authority's below /etc/pki here; or reach the host by qemu+ssh",
        ),
        r"no connection driver|unexpected .*path|unsupported|unknown|malformed|invalid": (
            "libvirt does not understand the URI",
            "write qemu:///system for this machine, or qemu+ssh://USER@HOST/system for another one",
        ),
    }
    for pattern, reason in reasons.items():
        if re.search(pattern, said, re.IGNORECASE):
            return reason
    return "libvirt does not answer", f"`virsh -c {uri} uri` must work: see what it says"
