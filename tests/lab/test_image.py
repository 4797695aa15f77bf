"""How images are put together and kept; nothing here installs or boots one."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from cluster.host_os import HOST_SYSTEMS
from lab import checkout, image
from lab.image import boot, disk, rootfs
from lab.progress import StepFailed


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    made = tmp_path / "parts"
    made.mkdir()
    names = ["kernel", *(Path(source).name for source in boot.PROGRAMS), *(f"{name}.ko" for name in boot.MODULES)]
    for name in names:
        (made / name).write_bytes(f"content of {name}".encode())
    return made


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checkout, "LOGS", tmp_path / "logs")
    return tmp_path / "cache" / "okd-libvirt"


def test_the_image_holds_every_package_of_the_services() -> None:
    assert set(HOST_SYSTEMS["debian-12"].packages) <= set(rootfs.packages())


def test_the_partition_table_is_one_active_linux_partition() -> None:
    table = disk._partition_table(8 * 1024 * 1024)
    assert len(table) == 66
    assert table[-2:] == b"\x55\xaa"
    active, kind, first, count = table[0], table[4], *struct.unpack("<II", table[8:16])
    assert (active, kind, first, first + count) == (0x80, 0x83, 2048, 8 * 1024 * 1024)
    assert table[16:64] == bytes(48)


def test_the_initramfs_is_the_same_byte_for_byte(parts: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        boot.make(parts, tmp_path / name)
    assert (tmp_path / "one" / "initramfs").read_bytes() == (tmp_path / "two" / "initramfs").read_bytes()


def test_the_initramfs_unpacks_to_its_parts(parts: Path, tmp_path: Path) -> None:
    boot.make(parts, tmp_path)
    to = tmp_path / "unpacked"
    to.mkdir()
    subprocess.run(
        f"zcat {tmp_path / 'initramfs'} | cpio -id --quiet --no-preserve-owner", shell=True, cwd=to, check=True
    )
    assert (to / "init").read_bytes() == (boot.SCRIPTS / "init").read_bytes()
    assert (to / "init").stat().st_mode & 0o777 == 0o755
    assert (to / "bin" / "busybox").read_text() == "content of busybox"
    assert {name: (to / "bin" / name).readlink() for name in boot.APPLETS} == dict.fromkeys(
        boot.APPLETS, Path("busybox")
    )
    assert (to / "lib" / "modules" / "order").read_text().split() == list(boot.MODULES)


def test_scripts_of_the_boot_image_are_well_formed() -> None:
    for script in boot.SCRIPTS.iterdir():
        subprocess.run(["bash" if script.name == "sntp" else "sh", "-n", script], check=True)


def test_a_kernel_without_a_needed_module_is_named(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for source in ("boot/vmlinuz-1", *boot.PROGRAMS, *(f"lib/modules/1/{name}.ko" for name in boot.MODULES[:-1])):
        (tree / source).parent.mkdir(parents=True, exist_ok=True)
        (tree / source).write_bytes(b"x")
    with pytest.raises(StepFailed, match="no module virtio_net"):
        boot.keep_parts(tree, tmp_path)


def test_what_is_in_the_cache_is_not_made_again(own_cache: Path) -> None:
    made: list[str] = []

    def make(to: Path, log: Path) -> None:
        made.append(to.name)
        (to / "file").write_text("content")

    first = image._cached("image", "key", make)
    assert image._cached("image", "key", make) == first == own_cache / "image" / "key"
    assert len(made) == 1
    assert (first / "file.sha256").read_text() == hashlib.sha256(b"content").hexdigest()


def test_a_build_that_failed_leaves_nothing_in_the_cache_and_is_begun_anew(own_cache: Path) -> None:
    def broken(to: Path, log: Path) -> None:
        (to / "half").write_text("half")
        raise StepFailed("no mirror")

    def whole(to: Path, log: Path) -> None:
        (to / "file").write_text("content")

    with pytest.raises(StepFailed, match="no mirror"):
        image._cached("image", "key", broken)
    assert not (own_cache / "image" / "key").exists()
    assert sorted(path.name for path in image._cached("image", "key", whole).iterdir()) == ["file", "file.sha256"]


def test_a_changed_script_gives_the_boot_image_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "SCRIPTS", shutil.copytree(boot.SCRIPTS, tmp_path / "miniature"))
    monkeypatch.setattr(image, "_HERE", Path("/"))
    before = image._digest(boot.inputs(), "services")
    assert image._digest(boot.inputs(), "services") == before
    assert image._digest(boot.inputs(), "other services") != before
    with (boot.SCRIPTS / "init").open("a") as script:
        script.write("# changed\n")
    assert image._digest(boot.inputs(), "services") != before


def test_links_and_sums_lie_beside_each_other(tmp_path: Path) -> None:
    source = tmp_path / "cache"
    source.mkdir()
    for name in ("kernel", "initramfs"):
        (source / name).write_text(name)
        (source / f"{name}.sha256").write_text(hashlib.sha256(name.encode()).hexdigest())
    for _ in range(2):
        image._publish(tmp_path / "boot", source, ("kernel", "initramfs"))
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "boot", capture_output=True
    )
    assert done.returncode == 0
    assert (tmp_path / "boot" / "kernel").readlink() == source / "kernel"
