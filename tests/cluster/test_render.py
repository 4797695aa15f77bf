"""The one template environment, and the review of whole stacks."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jinja2 import UndefinedError

from cluster import render, review, stack_file
from tests.conftest import STACK_FILES, stack_config


class Late:
    """A value as Pulumi's Output looks from outside."""

    future = None

    def apply(self) -> None:
        raise AssertionError("nobody may look inside")


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="domain"):
        render.render("resolv.conf.j2")


def test_a_value_known_only_at_deploy_time_is_refused() -> None:
    with pytest.raises(TypeError, match="deploy time"):
        render.render("resolv.conf.j2", domain=Late())


def test_text_ends_as_its_template_does() -> None:
    text = render.render("resolv.conf.j2", domain="okd.example.com")
    assert text == "search okd.example.com\nnameserver 127.0.0.1\n"


@pytest.mark.parametrize("stack", sorted(STACK_FILES))
def test_a_review_writes_every_file_without_secrets(
    stack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert review.main(["--stack", stack, "--out", str(tmp_path)]) == 0
    assert "files of stack" in capsys.readouterr().out
    assert (tmp_path / "etc/docker/registry/tls/registry.key").read_text() == "REDACTED\n"
    assert (tmp_path / "etc/docker/registry/htpasswd").read_text() == "REDACTED\n"
    assert "made when the stack is deployed" in (tmp_path / "etc/docker/registry/tls/registry.crt").read_text()
    assert "REDACTED" in (tmp_path / "cloud-init/user-data").read_text()
    assert "frontend api" in (tmp_path / "etc/haproxy/haproxy.cfg").read_text()
    assert "copy of /usr/lib/PXELINUX" in (tmp_path / "srv/tftp/lpxelinux.0").read_text()


def test_a_review_of_no_stack_says_where_it_looked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert review.main(["--stack", "nowhere", "--out", str(tmp_path)]) == 1
    assert "examples/Pulumi.nowhere.yaml" in capsys.readouterr().err


def test_a_review_reads_what_pulumi_reads() -> None:
    for stack, path in STACK_FILES.items():
        read, expected = stack_file.stack_config(path), stack_config(stack)
        for config in (read, expected):
            config.get("release", {}).pop("trustedCertificates", None)
        assert read == expected


def test_a_review_goes_without_secrets(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.secret.yaml"
    path.write_text(
        "config:\n  okd-libvirt:release:\n    version: 4.22.0-okd-scos.7\n    pullSecret: {secure: AAAB}\n"
        "  okd-libvirt:whole: {secure: AAAB}\n"
    )
    assert stack_file.stack_config(path) == {"release": {"version": "4.22.0-okd-scos.7"}}


def test_a_review_shows_what_the_installer_is_told(tmp_path: Path) -> None:
    assert review.main(["--stack", "hard-way", "--out", str(tmp_path)]) == 0
    release = tmp_path / "var/lib/okd-registry/okd-libvirt"
    told = yaml.safe_load((release / "install-config.yaml").read_text())
    assert told["imageDigestSources"][0]["source"] == "quay.io/okd/scos-release"
    assert yaml.safe_load((release / "imageset-config.yaml").read_text())["kind"] == "ImageSetConfiguration"
    assert (release / "manifests/99-okd-admin-secret.yaml").read_text() == "REDACTED\n"
    assert "MachineConfigPool" in (release / "manifests/99-okd-pool-infra.yaml").read_text()


def test_a_machine_declared_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.twice.yaml"
    path.write_text("config:\n  okd-libvirt:machines:\n    compute-0: {}\n    compute-0: {}\n")
    with pytest.raises(yaml.YAMLError, match="'compute-0' is given twice"):
        stack_file.stack_config(path)
