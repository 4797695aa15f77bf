"""The miniature release: what the real oc says of it, whom its signature convinces, and how it is kept."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import kvm, release
from lab.cached import cached
from lab.progress import StepFailed
from lab.release import certificates, images, payload, registry, signing, standin, tools
from lab.release.background import Building
from lab.toolchain import golang
from tests.conftest import ROOT
from tests.lab import guests
from tests.lab.conftest import Lab
from tests.patience import BOOT_SECONDS, PATIENCE_SECONDS
from tests.ports import free_address

MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass
class Tiny:
    """A release of stand-ins in a registry on loopback."""

    registry: str
    directory: Path
    payload: payload.Payload

    def oc(self, *words: str) -> subprocess.CompletedProcess[str]:
        return oc(self.directory, "adm", "release", words[0], "--insecure", *words[1:])

    def ok(self, *words: str) -> str:
        done = self.oc(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def document(self, path: str) -> Any:
        asked = urllib.request.Request(f"http://{self.registry}/v2/{path}", headers={"Accept": ", ".join(MANIFESTS)})
        with urllib.request.urlopen(asked, timeout=PATIENCE_SECONDS) as answer:
            return json.loads(answer.read())

    def mirror(self, to: Path) -> subprocess.CompletedProcess[str]:
        """Mirror the release within its registry and write its signature below `to`."""
        target = f"{self.registry}/mirror"
        words = [f"--from={self.payload.by_digest}", f"--to={target}/content", f"--to-release-image={target}/release:x"]
        kept = ["--keep-manifest-list=true", "--print-mirror-instructions=none"]
        return self.oc("mirror", *words, *kept, f"--release-image-signature-to-dir={to}")


def oc(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run(
        [release.oc(), *words], cwd=home, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    directory = tmp_path_factory.mktemp("release")
    (directory / "storage").mkdir()
    with registry.serving(directory / "storage", free_address(), directory) as address:
        stream = {"stream": "c9s"}
        made = payload.make(
            address, directory / "web", oc=release.oc(), installer=standin.installer(stream), filler=5000
        )
        yield Tiny(address, directory, made)


@pytest.mark.release
def test_oc_knows_the_release_and_its_images_and_that_it_is_a_miniature(tiny: Tiny) -> None:
    shown = json.loads(tiny.ok("info", "--output=json", tiny.payload.pull_spec))
    assert shown["digest"] == tiny.payload.digest
    assert shown["metadata"]["version"] == payload.VERSION == tiny.payload.version
    assert shown["metadata"]["metadata"]["description"].startswith("miniature release")
    tags = {tag["name"]: tag["from"]["name"] for tag in shown["references"]["spec"]["tags"]}
    content = f"{tiny.registry}/{payload.CONTENT_REPOSITORY}"
    assert tags == {name: f"{content}@{digest}" for name, digest in tiny.payload.images.items()}
    assert len(tags) == 10
    assert "Miniature CoreOS (lab)" in tiny.ok("info", tiny.payload.by_digest)


@pytest.mark.release
def test_every_image_is_labelled_miniature_and_one_has_two_architectures(tiny: Tiny) -> None:
    content, lists, labelled = payload.CONTENT_REPOSITORY, [], 0
    asked = list(tiny.payload.images.values())
    for digest in asked:
        manifest = tiny.document(f"{content}/manifests/{digest}")
        if manifest["mediaType"] == MANIFESTS[1]:
            lists.append([member["platform"]["architecture"] for member in manifest["manifests"]])
            asked += [member["digest"] for member in manifest["manifests"]]
            continue
        config = tiny.document(f"{content}/blobs/{manifest['config']['digest']}")
        assert config["config"]["Labels"][payload.LABEL] == "true"
        labelled += 1
    assert lists == [["amd64", "arm64"]]
    assert labelled == 11


@pytest.mark.release
def test_commands_come_out_with_the_releases_name_and_digest(tiny: Tiny, tmp_path: Path) -> None:
    for command in ("openshift-install", "oc"):
        tiny.ok("extract", f"--command={command}", f"--to={tmp_path}", tiny.payload.by_digest)
    installer = tmp_path / "openshift-install"
    shown = subprocess.run([installer, "version"], capture_output=True, text=True, check=True).stdout
    assert f"{payload.VERSION}\n" in shown
    assert f"release image {tiny.payload.by_digest}\n" in shown
    stream = subprocess.run([installer, "coreos", "print-stream-json"], capture_output=True, check=True).stdout
    assert json.loads(stream) == {"stream": "c9s"}
    shown = subprocess.run([tmp_path / "oc", "version"], capture_output=True, text=True, check=True).stdout
    assert shown == f"Client Version: {payload.VERSION}\n"


@pytest.mark.release
def test_oc_verifies_the_signature_and_writes_it_for_the_cluster(tiny: Tiny, tmp_path: Path) -> None:
    done = tiny.mirror(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "failed verification" not in done.stderr
    (written,) = tmp_path.iterdir()
    document = json.loads(written.read_text())
    assert document["kind"] == "ConfigMap"
    name = tiny.payload.digest.replace(":", "-")
    assert base64.b64decode(document["binaryData"][f"{name}-1"]) == tiny.payload.signature.read_bytes()


@pytest.mark.release
@pytest.mark.parametrize("how", ["altered", "of another release", "by another key", "missing"])
def test_a_signature_that_does_not_fit_convinces_nobody(tiny: Tiny, tmp_path: Path, how: str) -> None:
    place, good = tiny.payload.signature, tiny.payload.signature.read_bytes()
    if how == "altered":
        place.write_bytes(good[:-40] + bytes([good[-40] ^ 1]) + good[-39:])
    elif how == "missing":
        place.unlink()
    else:
        other = "4.19.0-okd-scos.1" if how == "of another release" else payload.VERSION
        made = payload.make(
            tiny.registry, tmp_path / "other", oc=release.oc(), version=other, release_repository="other"
        )
        place.write_bytes(made.signature.read_bytes())
    try:
        done = tiny.mirror(tmp_path / "signatures")
    finally:
        place.write_bytes(good)
    assert "failed verification" in done.stderr
    assert not (tmp_path / "signatures").exists()


@pytest.mark.release
def test_a_release_can_be_made_behind_tls_and_a_password(tmp_path: Path) -> None:
    address, tls = free_address(), tmp_path / "tls"
    certificates.make(tls, "127.0.0.1")
    (tmp_path / "storage").mkdir()
    configuration = json.loads(
        registry.configuration(tmp_path / "storage", address, tls / certificates.CERTIFICATE, tls / certificates.KEY)
    )
    users = subprocess.run(["htpasswd", "-nbB", "lab", "right"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "users").write_text(users)
    configuration["auth"] = {"htpasswd": {"realm": "lab", "path": str(tmp_path / "users")}}
    (tmp_path / "registry.json").write_text(json.dumps(configuration))
    with subprocess.Popen(
        [registry.PROGRAM, "serve", tmp_path / "registry.json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not listens(address):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            ca = tls / certificates.CA
            with pytest.raises(StepFailed, match="401"):
                payload.make(address, tmp_path / "web", oc=release.oc(), ca=ca, login=("lab", "wrong"))
            made = payload.make(address, tmp_path / "web", oc=release.oc(), ca=ca, login=("lab", "right"))
        finally:
            child.terminate()
    assert made.signature.exists()


def listens(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.release
def test_a_registry_that_cannot_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(StepFailed, match="did not start") as caught,
        registry.serving(tmp_path / "storage", f"127.0.0.1:{taken.getsockname()[1]}", tmp_path),
    ):
        pass
    assert any("address already in use" in line for line in caught.value.last_lines)


def test_a_key_leaves_nothing_though_its_agent_removes_files_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    homes: list[Path] = []
    remove = shutil.rmtree

    def racing(home: Path) -> None:
        homes.append(home)
        if len(homes) == 1:
            raise FileNotFoundError("S.gpg-agent.extra")
        remove(home)

    monkeypatch.setattr(shutil, "rmtree", racing)
    with signing.key():
        pass
    assert len(homes) >= 2, "a first try that failed was not repeated (the real agent may make it fail once more)"
    assert not homes[0].exists()


def test_a_layer_is_the_same_for_the_same_files() -> None:
    def packed(files: images.Files) -> tuple[tuple[str, str], bytes]:
        to = io.BytesIO()
        return images.pack(files, to), to.getvalue()

    one = packed({"usr/bin/tool": b"tool", "etc/name": "text"})
    assert one == packed({"etc/name": b"text", "usr/bin/tool": "tool"})
    assert one[0][1] == f"sha256:{hashlib.sha256(one[1]).hexdigest()}"
    assert packed({"etc/name": "other"})[0] != one[0]


def test_the_stream_names_the_boot_image_by_its_sums(tmp_path: Path) -> None:
    sums = {name: str(number) * 64 for number, name in enumerate(("kernel", "initramfs", "rootfs"))}
    (tmp_path / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    made = payload.stream(tmp_path, "http://upstream/boot")
    pxe = made["architectures"]["x86_64"]["artifacts"]["metal"]["formats"]["pxe"]
    assert pxe == {
        name: {"location": f"http://upstream/boot/{name}", "sha256": digest} for name, digest in sums.items()
    }


def test_the_data_files_follow_the_program_and_one_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data" / "coreos").mkdir(parents=True)
    (tmp_path / "data" / "coreos" / "scos.json").write_text("the installer's")
    (tmp_path / "data" / "other").write_text("kept")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho runs\nexit\n")
    tools._append(program, tmp_path / "data", {"coreos/scos.json": "ours"})
    program.chmod(0o755)
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "runs\n"
    with zipfile.ZipFile(program) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == {
            "coreos/scos.json": "ours",
            "other": "kept",
        }


@pytest.mark.release
@pytest.mark.parametrize(
    ("module", "package", "tags"),
    [
        ("oc", "github.com/openshift/oc/cmd/oc", tools._OC_TAGS),
        ("installer", "github.com/openshift/installer/cmd/openshift-install", "scos"),
    ],
)
def test_the_module_files_are_complete(tmp_path: Path, module: str, package: str, tags: str) -> None:
    place = ROOT / "lab" / "release" / module
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(place / name, tmp_path / name)
    if module == "installer":
        tools._with_our_assets(tmp_path)
    environment = golang._environment(place, module)
    done = subprocess.run(
        ["go", "list", "-tags", tags, "-deps", package],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert package in done.stdout.splitlines()


def test_a_cached_directory_is_whole_or_not_there(tmp_path: Path) -> None:
    def broken(work: Path) -> None:
        (work / "half").write_text("half")
        raise StepFailed("no mirror")

    with pytest.raises(StepFailed, match="no mirror"):
        cached(tmp_path / "release", "thing", broken)
    assert not (tmp_path / "release").exists()
    made = cached(tmp_path / "release", "thing", lambda work: (work / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]


def test_what_a_killed_process_left_is_begun_anew(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time\nfrom lab.cached import cached\n"
        "def make(work):\n    (work / 'half').touch()\n    print('half', flush=True)\n    time.sleep(600)\n"
        "cached(pathlib.Path(sys.argv[1]), 'thing', make)\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "release")]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        while "half\n" not in child.stdout.readline():
            assert child.poll() is None
        child.send_signal(signal.SIGKILL)
    assert not (tmp_path / "release").exists()
    made = cached(tmp_path / "release", "thing", lambda work: (work / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]


def test_a_build_in_the_background_hands_on_what_went_wrong() -> None:
    called: list[str] = []

    def broken() -> None:
        called.append("first")
        raise StepFailed("no Go")

    building = Building(broken, lambda: called.append("second"))
    with pytest.raises(StepFailed, match="no Go"):
        building.wait()
    assert called == ["first"]


@pytest.fixture(scope="module")
def upstream(labs: tuple[Lab, Lab]) -> Lab:
    """A lab whose upstream holds the release."""
    lab = labs[1]
    release.build()  # in this process: what is cold takes longer than a command of the lab may
    lab.ok("lab.hypervisor", "up")
    lab.ok("lab.upstream", "up")
    return lab


def trusting(lab: Lab, *words: str) -> list[str]:
    """A command line of the real oc that trusts the upstream's authority and no other."""
    return ["env", f"SSL_CERT_FILE={lab.root / '.lab' / 'upstream' / 'ca.crt'}", f"HOME={lab.root}", *words]


@pytest.mark.lab
def test_a_release_that_was_made_is_found_and_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = release.build()
    monkeypatch.setattr(release, "_assemble", lambda *_: pytest.fail("it is made again"))
    assert release.build() == made


@pytest.mark.lab
def test_the_upstreams_release_is_trusted_by_the_real_oc(upstream: Lab) -> None:
    made = release.build()
    by_digest = f"{made.pull_spec.rpartition(':')[0]}@{made.digest}"
    client = str(release.oc())
    shown = json.loads(
        upstream.inside(*trusting(upstream, client, "adm", "release", "info", "--output=json", made.pull_spec))
    )
    assert shown["digest"] == made.digest
    assert {tag["from"]["name"].partition("@")[0] for tag in shown["references"]["spec"]["tags"]} == {
        "198.51.100.1:5000/okd/scos-content"
    }
    mirror = ["adm", "release", "mirror", "--dry-run", f"--from={by_digest}", "--to=198.51.100.1:5000/mirror"]
    kept = ["--keep-manifest-list=true", "--release-image-signature-to-dir=/nowhere"]
    done = upstream.module("lab.hypervisor", "enter", "--", *trusting(upstream, client, *mirror, *kept))
    assert done.returncode == 0, done.stderr
    assert "failed verification" not in done.stderr
    assert f"Write configmap signature file /nowhere/signature-{made.digest[:23].replace(':', '-')}" in done.stdout


@pytest.mark.lab
def test_the_upstreams_installer_is_real_and_knows_release_and_boot_image(upstream: Lab, tmp_path: Path) -> None:
    made = release.build()
    by_digest = f"{made.pull_spec.rpartition(':')[0]}@{made.digest}"
    extract = ["adm", "release", "extract", "--command=openshift-install", f"--to={tmp_path}", by_digest]
    upstream.inside(*trusting(upstream, str(release.oc()), *extract))
    installer = tmp_path / "openshift-install"
    shown = subprocess.run([installer, "version"], capture_output=True, text=True, check=True).stdout
    assert f"openshift-install {made.version}\n" in shown
    assert f"release image {by_digest}\n" in shown
    text = subprocess.run([installer, "coreos", "print-stream-json"], capture_output=True, check=True).stdout
    pxe = json.loads(text)["architectures"]["x86_64"]["artifacts"]["metal"]["formats"]["pxe"]
    assert set(pxe) == {"kernel", "initramfs", "rootfs"}
    for file in pxe.values():
        got = upstream.inside("sh", "-c", f"curl -fsS {file['location']} | sha256sum")
        assert got.split()[0] == file["sha256"]


@pytest.mark.lab
def test_a_machine_fetches_the_rootfs_before_it_goes_on(upstream: Lab, tmp_path: Path) -> None:
    boot, address = (upstream.root / ".lab" / "images" / "boot").resolve(), "192.168.77.1"
    rootfs = "coreos.live.rootfs_url=http://198.51.100.1:8081/boot/rootfs"
    kernel, initramfs = ((boot / name).resolve() for name in ("kernel", "initramfs"))
    console, report = tmp_path / "console.log", f"http://{address}:8090/report {rootfs}"
    files = {
        "network": guests.SERVED,
        "machine": guests.machine(kernel, initramfs, console, "qemu" if kvm.problem() else "kvm", report),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    server = [sys.executable, str(Path(__file__).with_name("report_server.py")), address, "0"]
    argv = [sys.executable, "-m", "lab.hypervisor", "enter", "--", *server]
    upstream.inside("virsh", "net-create", str(tmp_path / "network"))
    with subprocess.Popen(argv, cwd=upstream.root, stdout=subprocess.PIPE, text=True) as taking:
        try:
            upstream.inside("virsh", "create", str(tmp_path / "machine"))
            shown, _ = taking.communicate(timeout=BOOT_SECONDS)
        finally:
            taking.kill()
            upstream.inside("virsh", "destroy", "machine")
            upstream.inside("virsh", "net-destroy", "served")
    got = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(shown.strip()).query))
    assert got["rootfs"] == str((boot / "rootfs").stat().st_size)
    assert 'rootfs is "Miniature CoreOS (lab)"' in console.read_text(errors="replace")
