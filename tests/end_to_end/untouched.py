"""All that a preview could touch: the lab's libvirt, its network and its processes, and every file below .lab."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.end_to_end.clone import Clone

# Sections of text by what they tell of. With `guests`, what the guests themselves write all the time is left out.
LOOK = r"""
import hashlib, json, os, pathlib, re, subprocess, sys
from lab import namespaces

guests, root = sys.argv[1] == "True", pathlib.Path(sys.argv[2])
seen = {}

def said(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

def virsh(*words):
    return said("virsh", "-c", "qemu:///system", *words)

def without(text, *elements):
    return re.sub(rf"\s*<({'|'.join(elements)})[ >].*?</\1>", "", text, flags=re.DOTALL)

for name in virsh("list", "--all", "--name").split():
    seen[f"domain {name}"] = "".join(
        virsh(*words, name) for words in (["dumpxml"], ["dumpxml", "--inactive"], ["domstate", "--reason"], ["domid"])
    )
for name in virsh("net-list", "--all", "--name").split():
    seen[f"network {name}"] = virsh("net-dumpxml", name) + virsh("net-info", name)
for pool in virsh("pool-list", "--all", "--name").split():
    # The disk is the whole machine's.
    seen[f"pool {pool}"] = without(virsh("pool-dumpxml", pool), "available", "allocation")
    for line in virsh("vol-list", pool).splitlines()[2:]:
        if line.strip():
            volume = line.split()[0]
            text = virsh("vol-dumpxml", volume, "--pool", pool)
            seen[f"volume {volume}"] = without(text, *(["allocation", "physical", "timestamps"] if guests else ["atime"]))
seen["links"] = said("ip", "-o", "link")
seen["addresses"] = re.sub(r"valid_lft.*", "", said("ip", "-o", "addr"))
seen["routes"] = said("ip", "route")
seen["firewall"] = said("nft", "-s", "list", "ruleset")
seen["processes"] = "".join(
    f"{one.pid} {one.name}\n" for one in namespaces.processes() if one.pid != os.getpid()
)
seen["run"] = "".join(f"{path}\n" for path in sorted(pathlib.Path("/run/libvirt").rglob("*")))
# What the tools write about themselves, and what this test asked of libvirt.
own = {"pulumi-home/logs", "pulumi-home/workspaces", "hypervisor/var-log-libvirt/libvirtd.log"}
if guests:
    own |= {"hypervisor/var-log-libvirt/qemu", "hypervisor/var-lib-libvirt/images", "logs"}
for path in sorted((root / ".lab").rglob("*")):
    place = path.relative_to(root / ".lab")
    if any(place.is_relative_to(one) for one in own) or place.name.startswith("test-"):
        continue
    if path.is_file() and not path.is_symlink():
        with path.open("rb") as file:
            seen[f"file {place}"] = f"{hashlib.file_digest(file, 'sha256').hexdigest()} {oct(path.stat().st_mode)}"
    elif not path.is_symlink():
        seen[f"other {place}"] = oct(path.stat().st_mode)
print(json.dumps(seen))
"""


def look(clone: Clone, *, guests_run: bool) -> dict[str, str]:
    """What is there now, by section."""
    done = clone.run(
        sys.executable, "-m", "lab.hypervisor", "enter", "--",
        sys.executable, "-c", LOOK, str(guests_run), str(clone.root), apart=True,
    )  # fmt: skip
    found: dict[str, str] = json.loads(done.ok().text)
    # A listing without its objects would compare well.
    for kind in ("pool okd-", "network okd-", "domain okd-", "volume okd-", "file state/.pulumi/stacks/"):
        assert any(name.startswith(kind) for name in found), kind
    return found


@contextmanager
def nothing_changes(clone: Clone, *, guests_run: bool = True) -> Iterator[None]:
    """What is done within it leaves everything as it was. While guests run, their own disks and consoles move."""
    before = look(clone, guests_run=guests_run)
    yield
    after = look(clone, guests_run=guests_run)
    told = [
        line
        for name in sorted(before.keys() | after.keys())
        for line in difflib.unified_diff(
            before.get(name, "").splitlines(), after.get(name, "").splitlines(), name, name, lineterm="", n=1
        )
    ]
    assert not told, "\n".join(told)
