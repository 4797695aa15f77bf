"""What a stack leaves behind: first while it runs, then when it is taken down. Runs after everything else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.end_to_end.clone import Clone
from tests.end_to_end.conftest import host_snapshot, secrets_of


def test_no_secret_stands_in_the_clear_in_state_logs_previews_or_the_hosts_journal(clone: Clone) -> None:
    makers = ("tls:index/privateKey:PrivateKey", "random:index/randomPassword:RandomPassword")
    made = [one["outputs"] for one in clone.state()["deployment"]["resources"] if one["type"] in makers]
    assert len(made) == 7
    lines = {line for text in secrets_of(made) for line in text.splitlines()}
    # An OpenSSH private key repeats the public key, lines of which stand in its public form as well.
    public = "\n".join(value for one in made for value in one.values() if isinstance(value, str))
    secrets = {line for line in lines if len(line) >= 24 and not line.startswith("-----") and line not in public}
    password = clone.output("registryPassword")
    assert password in secrets
    users = yaml.safe_load(clone.output("kubeconfig"))["users"]
    secrets |= {clone.output("kubeadminPassword"), *(user["user"]["client-key-data"] for user in users)}
    assert len(secrets) > 50
    clone.pulumi("preview", "--diff")
    journal = clone.on_services("sudo journalctl --no-pager; ps -eo args").ok().text
    places = {"what commands printed": "\n".join(clone.transcript).encode(), "the host's journal": journal.encode()}
    places |= {str(path): path.read_bytes() for path in _files(clone.root / ".lab")}
    assert any("/pulumi-home/logs/" in place for place in places)
    assert any("/state/" in place for place in places)
    for place, text in places.items():
        found = [secret for secret in secrets if secret.encode() in text]
        assert not found, f"{place} shows {len(found)} secret lines"


def _files(lab: Path) -> Iterator[Path]:
    """Every file that a stack leaves in the lab, but for the guests' disks and what the tests keep for themselves."""
    tools = (lab / "bin", lab / "pulumi-home" / "plugins")  # built before the stack had a secret, 340 MB
    for path in lab.rglob("*"):
        inside_guest_disk = path.suffix in {".qcow2", ".iso"} or "images" in path.parts
        private = path.name == "passphrase" or path.name.startswith("test-")
        tool = any(path.is_relative_to(one) for one in tools)
        if path.is_file() and not path.is_symlink() and not (inside_guest_disk or private or tool):
            yield path


IN_THE_LAB = "from lab import namespaces; print(*(process.name for process in namespaces.processes()), sep=chr(10))"


def test_destroyed_and_taken_down_nothing_is_left(
    clone: Clone, libvirt_before: str, host_before: dict[str, str]
) -> None:
    living = clone.run(sys.executable, "-c", IN_THE_LAB).ok().text
    assert "libvirtd" in living
    assert "qemu-system" in living
    clone.pulumi("destroy", "--yes", "--skip-preview").ok()
    assert clone.on_libvirt() == libvirt_before
    clone.stack("down").ok()
    assert not (clone.root / ".lab" / "hypervisor").exists()
    assert clone.run(sys.executable, "-c", IN_THE_LAB).ok().text.strip() == ""
    after = host_snapshot()
    for what, before in host_before.items():
        assert after[what] == before, f"{what} differ"
