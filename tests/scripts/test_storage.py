"""The registry's data volume on a loop device: made once, kept afterwards, foreign content refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.scripts.host import Host

pytestmark = pytest.mark.daemons

WHERE = "/srv/okd-registry"
UNIT = r"srv-okd\x2dregistry.mount"


@pytest.fixture
def device(host: Host) -> Iterator[str]:
    host.sh("truncate -s 64M /mnt/volume.img")
    loop = host.run("losetup", "--find", "--show", "/mnt/volume.img").strip()
    yield loop
    host.sh(f"umount {WHERE}", check=False)
    host.run("losetup", "--detach", loop)


def document(device: str, **more: Any) -> dict[str, Any]:
    return {
        "device": device,
        "label": "okd-registry",
        "mountPoint": WHERE,
        "unit": UNIT,
        "owner": "docker-registry",
        **more,
    }


@pytest.fixture(autouse=True)
def _mount_by_label(host: Host, device: str) -> None:
    # As it is delivered with all other unit files.
    host.sh(f"printf '[Mount]\nWhat=LABEL=okd-registry\nWhere={WHERE}\n' > '/etc/systemd/system/{UNIT}'")
    # No udev here: the label is looked up by blkid, as mount(8) does without /dev/disk.
    host.run("sh", "-c", f'sed -i \'s#\\["mount", setting(unit, "What")#["mount", "{device}"#\' /mnt/sbin/systemctl')


def test_an_empty_volume_is_made_mounted_and_handed_over(host: Host, device: str) -> None:
    done = host.agent("storage", document=document(device))
    assert done.returncode == 0
    assert f"stage 2/3 file system: made okd-registry on {device}" in done.stdout
    assert host.run("stat", "-c", "%U %G %a", WHERE) == "docker-registry docker-registry 750\n"
    assert host.run("blkid", "-p", "-s", "LABEL", "-o", "value", device) == "okd-registry\n"
    assert host.calls() == [f"enable {UNIT}", f"start {UNIT}"]


def test_a_second_run_has_nothing_to_do(host: Host, device: str) -> None:
    host.agent("storage", document=document(device))
    host.calls()
    done = host.agent("storage", document=document(device))
    assert "already holds okd-registry" in done.stdout
    assert "already mounted" in done.stdout
    assert host.calls() == []


def test_a_rebuilt_host_finds_its_blobs_again(host: Host, device: str) -> None:
    host.agent("storage", document=document(device))
    host.write(f"{WHERE}/blob", "precious\n")
    host.sh(f"umount {WHERE}; rm -r {WHERE} /var/lib/okd-libvirt")
    done = host.agent("storage", document=document(device))
    assert done.returncode == 0
    assert host.read(f"{WHERE}/blob") == "precious\n"


@pytest.mark.parametrize(
    ("make", "found"),
    [
        ("mkfs.ext4 -q -L photographs {}", "LABEL=photographs"),
        ("mkswap {}", "TYPE=swap"),
        ("echo 'label: gpt' | sfdisk -q {}", "PTTYPE=gpt"),
        ("echo a database without a file system > {}", "unknown content"),
    ],
)
def test_foreign_content_is_left_alone(host: Host, device: str, make: str, found: str) -> None:
    host.sh(make.format(device))
    before = host.sh(f"sha256sum < {device}")
    done = host.agent("storage", document=document(device))
    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert found in done.stderr
    assert host.sh(f"sha256sum < {device}") == before


def test_an_own_file_system_that_was_not_finished_is_made_again(host: Host, device: str) -> None:
    host.sh("mkdir -p /var/lib/okd-libvirt/state && touch /var/lib/okd-libvirt/state/okd-registry.formatting")
    host.sh(f"head -c 100000 /dev/urandom > {device}")
    done = host.agent("storage", document=document(device))
    assert done.returncode == 0
    assert host.sh("ls /var/lib/okd-libvirt/state") == ""
