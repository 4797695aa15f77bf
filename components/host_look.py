"""One read-only look at the libvirt host and at this machine, while the program plans.

Owns asking: `virsh` twice at most (lists, then what they list), and this machine itself where it is the libvirt host.
Does not own reading the answers (cluster/preflight/answers.py) nor what follows from them (cluster/preflight/).
Nothing is started, defined or changed, and nobody is asked for a password.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from cluster import footprint, limits
from cluster.plan import Plan
from cluster.preflight import answers
from cluster.preflight.facts import HostFacts, Image
from cluster.preflight.held import Held
from components import image_look, this_machine
from components.image import image_digest

PROGRAMS = ("virsh", "mkisofs", "xsltproc", "ssh")
LISTS = {
    "capabilities": "capabilities",
    "node": "nodeinfo",
    "memory": "nodememstats",
    "domains": "list --all --uuid",
    # A guest whose monitor hangs is not waited for.
    "balloons": "domstats --nowait --balloon",
    "networks": "net-list --all --uuid",
    "active-networks": "net-list --uuid",
    "pools": "pool-list --all --uuid",
    "active-pools": "pool-list --uuid",
}
END = "end"
DUMPS = {"domains": "dumpxml", "networks": "net-dumpxml", "pools": "pool-dumpxml"}


class NoAnswer(Exception):
    """libvirt did not answer; the message is its own."""


def look(plan: Plan) -> HostFacts:
    """Everything that can be learned about where the plan is to stand; never raises for what cannot."""
    hypervisor = plan.settings.hypervisor
    uri, path = hypervisor.uri, str(hypervisor.pool_path)
    local = urlsplit(uri).hostname is None
    facts = HostFacts(
        missing=tuple(program for program in PROGRAMS if shutil.which(program) is None),
        image=_image(plan),
        here=this_machine.look(path, as_root=not uri.endswith("/session")) if local else None,
    )
    if "virsh" in facts.missing or ("+ssh:" in uri and "ssh" in facts.missing):
        return facts
    try:
        lists = _sections(uri, LISTS if local else LISTS | {"links": "nodedev-list --cap net"})
    except NoAnswer as error:
        return replace(facts, refusal=str(error))
    try:
        return _read(facts, lists, _details(uri, plan.names.pool, lists))
    except answers.ParseError:
        return facts  # cut off in the middle: nothing was learned


def _image(plan: Plan) -> Image:
    image = plan.settings.services.image
    if "://" in image.location:
        base = footprint.base_volume(plan, image_digest(image.location, image.sha256))
        if base in Held.of(plan.before).volumes:
            return Image()
    return image_look.look(image.location)


def _details(uri: str, pool: str, lists: Mapping[str, str]) -> Mapping[str, str]:
    """What the lists name; empty when that takes too long, as on a host far away with many domains."""
    if not any(answers.listed(lists[kind]) for kind in DUMPS):
        return dict.fromkeys([*DUMPS, "volumes"], "")
    dumps = {
        kind: "; ".join(f"{command} {uuid}" for uuid in answers.listed(lists[kind])) for kind, command in DUMPS.items()
    }
    try:
        return _sections(uri, {**dumps, "volumes": f"vol-list {pool}"})
    except NoAnswer:
        return {}


def _read(facts: HostFacts, lists: Mapping[str, str], details: Mapping[str, str]) -> HostFacts:
    here = facts.here
    facts = replace(
        facts,
        processors=answers.processors(lists["capabilities"]),
        cpus=answers.cpus(lists["node"]),
        # The kernel's own estimate is better than a sum of what it may give up.
        memory_free_mib=(this_machine.memory_mib() if here else None) or answers.memory_free_mib(lists["memory"]),
        links=tuple(answers.listed(lists.get("links", ""))) or None,
    )
    if not details:
        return facts
    # A pool that is not there or not active lists nothing; its directory may tell.
    files = here.directory.files if here and here.directory else None
    volumes = answers.volumes(details["volumes"])
    return replace(
        facts,
        domains=answers.domains(details["domains"], answers.resident_mib(lists["balloons"])),
        networks=answers.networks(details["networks"], frozenset(answers.listed(lists["active-networks"]))),
        pools=answers.pools(details["pools"], frozenset(answers.listed(lists["active-pools"]))),
        volumes=files if volumes is None else volumes,
    )


def _sections(uri: str, questions: Mapping[str, str]) -> dict[str, str]:
    """The answers of one `virsh` by their questions' keys; what one of them complains about is left out.

    Raises:
        NoAnswer: libvirt cannot be reached, or went away before it had answered everything.
    """
    script = "; ".join([*(f"echo @@{key}@@; {question}" for key, question in questions.items()), f"echo @@{END}@@"])
    try:
        done = subprocess.run(
            ["virsh", "--connect", _unattended(uri), script],
            # Its words are read, so they have to be the untranslated ones.
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limits.LIBVIRT.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NoAnswer(f"it did not answer within {limits.LIBVIRT.seconds:.0f} s") from error
    if "failed to connect to the hypervisor" in done.stderr:
        raise NoAnswer(done.stderr.removeprefix("error: failed to connect to the hypervisor").strip())
    _, *parts = re.split(r"@@([\w-]+)@@\n?", done.stdout)
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    if "error: Disconnected from" in done.stderr or END not in found:
        # What is missing from half an answer would look like objects that are gone.
        raise NoAnswer(f"its answer broke off: {(done.stderr.strip().splitlines() or ['virsh said nothing'])[-1]}")
    return found


def _unattended(uri: str) -> str:
    """The URI with ssh's questions switched off: nobody answers them while a program runs."""
    if "+ssh:" not in uri:
        return uri
    words = ["no_tty=1"]
    # The provider's own word for it is not virsh's.
    if "known_hosts_verify=ignore" in uri:
        words.append("no_verify=1")
    return f"{uri}{'&' if '?' in uri else '?'}{'&'.join(words)}"
