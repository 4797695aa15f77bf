"""Validity as our reader of DER tells it, against openssl."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from okd_host.ignition import certificates
from okd_host.ignition.manifests import Identity, identities
from tests.patience import PATIENCE_SECONDS


def made(tmp_path: Path, *options: str) -> bytes:
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=x",
    ]
    argv += ["-keyout", "/dev/null", "-out", str(tmp_path / "x.crt"), *options]
    subprocess.run(argv, check=True, capture_output=True)
    return (tmp_path / "x.crt").read_bytes()


def dates(certificate: bytes) -> list[str]:
    argv = ["openssl", "x509", "-noout", "-startdate", "-enddate", "-dateopt", "iso_8601"]
    told = subprocess.run(argv, input=certificate, capture_output=True, check=True).stdout.decode()
    return [line.partition("=")[2].replace(" ", "T") for line in told.splitlines()]


@pytest.mark.parametrize(
    "options",
    [
        ("-days", "1"),
        # After 2049 the year has four digits.
        ("-days", "20000"),
        # An extension, a long serial number, a long subject.
        (
            "-days",
            "3650",
            "-set_serial",
            "0x7f0102030405060708090a0b0c0d0e0f10111213",
            "-subj",
            f"/O={'o' * 60}/CN={'c' * 60}",
        ),
    ],
)
def test_dates_are_those_that_openssl_reads(tmp_path: Path, options: tuple[str, ...]) -> None:
    certificate = made(tmp_path, *options)
    [found] = certificates.validities(certificate)
    assert [certificates.moment(seconds) for seconds in found] == dates(certificate)


def test_every_certificate_of_a_bundle_is_read(tmp_path: Path) -> None:
    bundle = b"# one\n" + made(tmp_path, "-days", "1") + b"\ntext between\n" + made(tmp_path, "-days", "2")
    one, other = certificates.validities(bundle)
    assert round((other.expiry - one.expiry) / 3600) == 24
    assert abs(one.made - time.time()) < PATIENCE_SECONDS


def test_a_certificate_that_is_cut_short_is_an_error_not_a_date(tmp_path: Path) -> None:
    lines = made(tmp_path, "-days", "1").splitlines()
    with pytest.raises(ValueError, match="cut short"):
        certificates.validities(b"\n".join([lines[0], lines[1][:40], lines[-1]]))


def test_a_manifests_object_is_known_however_it_is_written() -> None:
    wanted = Identity("config.openshift.io", "Scheduler", "", "cluster")
    inner = "metadata:\n    labels:\n        name: other\n\n    name: 'cluster'\n"
    assert list(identities(f"kind: Scheduler\n{inner}apiVersion: config.openshift.io/v1\n")) == [wanted]
    as_json = '{"apiVersion": "config.openshift.io/v1", "kind": "Scheduler", "metadata": {"name": "cluster"}}'
    assert list(identities(as_json)) == [wanted]
    secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: b\n"
    assert list(identities(f"---\n{secret}---\n# nothing\n---\n{as_json}")) == [
        Identity("", "Secret", "b", "a"),
        wanted,
    ]
