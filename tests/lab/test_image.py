"""How images are put together and kept; nothing here installs or boots one."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.host_os import HOST_SYSTEMS
from lab import checkout, image
from lab.image import boot, disk, machine_disk, rootfs
from lab.image import parts as image_parts
from lab.progress import StepFailed


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    made = tmp_path / "parts"
    made.mkdir()
    names = ["kernel", *(Path(source).name for source in image_parts.PROGRAMS)]
    names += [f"{name}.ko" for name in image_parts.MODULES]
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
    assert (to / "lib" / "modules" / "order").read_text().split() == list(image_parts.MODULES)


def test_scripts_of_the_boot_image_and_of_the_machine_are_well_formed() -> None:
    scripts = [*boot.SCRIPTS.iterdir(), *(machine_disk.OVERLAY / "usr/libexec/miniature").iterdir()]
    assert len(scripts) > 8
    for script in scripts:
        subprocess.run(["bash" if script.name == "sntp" else "sh", "-n", script], check=True)


def test_scripts_call_no_program_that_the_image_has_not() -> None:
    words = set()
    for script in [*boot.SCRIPTS.iterdir(), *(machine_disk.OVERLAY / "usr/libexec/miniature").iterdir()]:
        words |= set(
            re.findall(r"(?m)(?:^|[|;&(`]|\bdo|\bthen|\buntil|\bif !?|\bexec)\s*([a-z_][\w-]*)", script.read_text())
        )
    busybox = set(subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split())
    shell = {"echo", "printf", "test", "[", "kill", "pwd", "true", "false"}
    assert (words & busybox) - shell - set(boot.APPLETS) == set()


@pytest.fixture
def services_image(tmp_path: Path) -> Path:
    """A disk like the services host's, with small files in the places of the parts."""
    tree = tmp_path / "tree"
    release = "6.1.0-cloud-amd64"
    modules = [name.replace("virtio_pci_", "virtio-pci-") for name in image_parts.MODULES]
    files = {f"boot/vmlinuz-{release}": "kernel"}
    files |= {name: f"content of {Path(name).name}" for name in image_parts.PROGRAMS}
    files |= {f"usr/lib/modules/{release}/kernel/drivers/{name}.ko": name for name in modules}
    files[f"usr/lib/modules/{release}/modules.dep"] = "".join(
        f"kernel/drivers/{name}.ko: other.ko\n" for name in modules
    )
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    library = tree / "usr/lib/x86_64-linux-gnu/libtinfo.so.6"
    library.rename(library.with_suffix(".6.4"))
    library.symlink_to("libtinfo.so.6.4")
    raw, image = tmp_path / "services.raw", tmp_path / "services.qcow2"
    disk.make_raw(raw, disk.FileSystem("services", machine_disk.SYSTEM.uuid, 64), tmp_path / "log", "-d", tree)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, image], check=True)
    return image


def test_the_parts_come_out_of_the_services_hosts_image(services_image: Path, tmp_path: Path) -> None:
    to = tmp_path / "taken"
    to.mkdir()
    image_parts.take(services_image, to, tmp_path / "log")
    assert (to / "kernel").read_text() == "kernel"
    assert (to / "libtinfo.so.6").read_text() == "content of libtinfo.so.6"
    assert (to / "virtio_blk.ko").read_text() == "virtio_blk"
    assert {path.name for path in to.iterdir()} == {
        "kernel",
        *(Path(name).name for name in image_parts.PROGRAMS),
        *(f"{name}.ko" for name in image_parts.MODULES),
    }


def test_a_kernel_without_a_needed_module_is_named(
    services_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_parts, "MODULES", (*image_parts.MODULES, "nvme"))
    with pytest.raises(StepFailed, match="no module nvme") as failed:
        image_parts.take(services_image, tmp_path, tmp_path / "log")
    assert "parts.py" in failed.value.remedy


@pytest.fixture
def rootfs_of(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a rootfs in a directory of its own, for a smaller disk than the real one."""
    monkeypatch.setattr(machine_disk, "SYSTEM", dataclasses.replace(machine_disk.SYSTEM, size_mib=160))

    def make(name: str) -> Path:
        to = tmp_path / name
        to.mkdir()
        program = tmp_path / "program"
        program.write_bytes(b"the program")
        boot.make(parts, to)
        machine_disk.make(parts, to, program, boot.SCRIPTS, to, tmp_path / "log")
        return to / "rootfs"

    return make


def test_the_rootfs_is_the_same_byte_for_byte(rootfs_of: Callable[[str], Path]) -> None:
    first = rootfs_of("one").read_bytes()
    # Whoever writes the current time anywhere would be found out by the next second.
    time.sleep(1.1)
    assert first == rootfs_of("two").read_bytes()


def installed(rootfs: Path, disk_file: Path) -> None:
    """Write a disk as the installer does: what its table says, the first block last."""
    head = rootfs.read_bytes()[: machine_disk.BLOCK].decode().partition("end\n")[0]
    rows = [line.split("=", 1) for line in head.splitlines()]
    with rootfs.open("rb") as source, disk_file.open("r+b") as target:
        for name, value in rows:
            numbers = [int(number) for number in value.split(":")] if value[:1].isdigit() else []
            if name == "copy":
                source.seek(numbers[0] * machine_disk.BLOCK)
                target.seek(numbers[1] * machine_disk.BLOCK)
                target.write(source.read(numbers[2] * machine_disk.BLOCK))
            elif name == "zero":
                target.seek(numbers[0] * machine_disk.BLOCK)
                target.write(bytes(numbers[1] * machine_disk.BLOCK))
            elif name == "boot":
                source.seek(numbers[0] * machine_disk.BLOCK)
                target.seek(0)
                target.write(source.read(machine_disk.BLOCK))


@pytest.mark.parametrize("before", [b"\0", b"\xa5"], ids=["an empty disk", "a disk with something on it"])
def test_the_disk_that_the_rootfs_writes_is_sound(
    rootfs_of: Callable[[str], Path], tmp_path: Path, before: bytes
) -> None:
    image = tmp_path / "disk"
    with image.open("wb") as handle:
        if before == b"\0":
            handle.truncate(machine_disk.SYSTEM.size_mib << 20)
        else:
            for _ in range(machine_disk.SYSTEM.size_mib):
                handle.write(before * (1 << 20))
    installed(rootfs_of("one"), image)
    # No program reads a file system that begins in the middle of a file and repairs it there.
    with image.open("rb") as handle:
        assert handle.read(512)[-2:] == b"\x55\xaa"
    partition = tmp_path / "partition"
    subprocess.run(["dd", f"if={image}", f"of={partition}", "bs=1M", "skip=1", "status=none"], check=True)
    image.unlink()
    checked = subprocess.run(["e2fsck", "-f", "-n", partition], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    shown = subprocess.run(["debugfs", "-R", "cat /bin/miniature", partition], capture_output=True, check=True)
    assert shown.stdout == b"the program"
    partition.unlink()


def test_the_installers_marker_lies_where_no_block_of_the_disk_does(rootfs_of: Callable[[str], Path]) -> None:
    (sector,) = re.findall(r"^remembered=(\d+)$", (boot.SCRIPTS / "install").read_text(), re.MULTILINE)
    block = int(sector) * 512 // machine_disk.BLOCK
    head = rootfs_of("one").read_bytes()[: machine_disk.BLOCK].decode().partition("end\n")[0]
    rows = [[int(number) for number in line[5:].split(":")] for line in head.splitlines() if line.startswith("copy=")]
    assert rows
    assert not [row for row in rows if row[1] <= block < row[1] + row[2]]
    assert 0 < block * machine_disk.BLOCK < disk.OFFSET


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
