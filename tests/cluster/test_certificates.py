"""Trust bundles hold certificates and nothing else."""

from __future__ import annotations

import pytest

from cluster.certificates import bundle, certificates
from tests.cluster.certificates import CERTIFICATE, OTHER_CERTIFICATE


def test_each_certificate_comes_once_and_nothing_between() -> None:
    text = f"# a comment\n{CERTIFICATE}\n\nsubject=x\n{OTHER_CERTIFICATE.replace(chr(10), chr(13) + chr(10))}\n\n"
    assert bundle(OTHER_CERTIFICATE, text) == OTHER_CERTIFICATE + CERTIFICATE


def test_what_openssl_cannot_read_is_refused_by_its_number() -> None:
    # What is signed is no SEQUENCE any more.
    broken = OTHER_CERTIFICATE.replace("MIIBiTCC", "MIIBiTGC", 1)
    with pytest.raises(ValueError, match="block 2, line 12: the certificate cannot be read"):
        certificates(CERTIFICATE + broken)


def test_a_text_without_certificates_is_refused() -> None:
    with pytest.raises(ValueError, match="no certificate in PEM form"):
        certificates("subject=nobody\n")


def test_a_private_key_is_refused() -> None:
    with pytest.raises(ValueError, match="private key"):
        certificates(f"{CERTIFICATE}-----BEGIN PRIVATE KEY-----\n")
