"""Whatever is in a file of trusted certificates is trusted, or named and refused before anything is made."""

from __future__ import annotations

import base64
import textwrap
from pathlib import Path

import pytest

from cluster.certificates import Unread, certificates, load
from cluster.settings import Settings, SettingsError
from tests.cluster.certificates import CERTIFICATE, OTHER_CERTIFICATE
from tests.conftest import stack_config

LINES = CERTIFICATE.splitlines()
DER = base64.b64decode("".join(LINES[1:-1]))
TRUST = bytes.fromhex("300c300a06082b06010505070301")
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def block(kind: str, content: bytes) -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(content).decode(), 64))
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"


DAMAGED = {
    "a hyphen lost at the begin": (CERTIFICATE.replace(BEGIN, BEGIN[1:]), "block 1, line 1: "),
    "a hyphen too many": (CERTIFICATE.replace(BEGIN, f"-{BEGIN}"), "block 1, line 1: "),
    "hyphens made into dashes": (CERTIFICATE.replace("-----", "\u2014\u2014"), "block 1, line 1: "),
    "no hyphens before the word": (CERTIFICATE.replace(BEGIN, BEGIN[5:]), "block 1, line 1: "),
    "small letters": (CERTIFICATE.replace(BEGIN, BEGIN.title()), "block 1, line 1: "),
    "a letter lost": (CERTIFICATE.replace(BEGIN, BEGIN.replace("CERT", "CET")), "begins as CETIFICATE and ends as"),
    "no BEGIN line": (CERTIFICATE.replace(f"{BEGIN}\n", ""), "block 1, line 1: base64 that no BEGIN line"),
    "no END line": (CERTIFICATE.replace(f"{END}\n", ""), "block 1, line 1: has no END line before"),
    "a hyphen lost at the end": (CERTIFICATE.replace(END, END[:-1]), "block 1, line 11: "),
    "the end on the last line": (CERTIFICATE.replace(f"\n{END}", END), "block 1, line 1: has no END line before"),
    "all on one line": (" ".join(LINES) + "\n", "block 1, line 1: what stands there is no BEGIN line"),
    "a foreign character": (CERTIFICATE.replace("MII", "MI-"), "block 1, line 2: '-' is no character of base64"),
    "a character lost": (CERTIFICATE.replace("MII", "MI"), "block 1, line 1: its base64 does not end"),
    "a line lost": ("\n".join([*LINES[:3], *LINES[4:]]) + "\n", "block 1, line 1: the certificate is cut short"),
    "a header in it": (CERTIFICATE.replace("MII", "Proc-Type: 4\n\nMII"), "block 1, line 2: a header"),
    "empty": (f"{BEGIN}\n{END}\n", "block 1, line 1: is empty"),
    "OpenSSL's own form": (block("TRUSTED CERTIFICATE", DER + TRUST), "block 1, line 1: TRUSTED CERTIFICATE"),
    "that form under the plain name": (block("CERTIFICATE", DER + TRUST), "14 bytes follow the certificate's end"),
    "the oldest form": (block("X509 CERTIFICATE", DER), "block 1, line 1: X509 CERTIFICATE"),
    "a container of certificates": (block("PKCS7", DER), "block 1, line 1: PKCS7"),
    "a request for one": (block("CERTIFICATE REQUEST", DER), "block 1, line 1: CERTIFICATE REQUEST"),
    "a private key": (block("PRIVATE KEY", DER), "block 1, line 1: a private key"),
    "a damaged private key": (block("PRIVATE KEY", DER)[1:], "block 1, line 1: a private key"),
}


@pytest.mark.parametrize(("damaged", "words"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_block_is_named_whether_it_stands_before_or_after_a_good_one(damaged: str, words: str) -> None:
    with pytest.raises(Unread) as first:
        certificates(damaged + OTHER_CERTIFICATE)
    ((harm, _),) = first.value.faults
    assert words in harm
    with pytest.raises(Unread, match="block 2, line"):
        certificates(OTHER_CERTIFICATE + damaged)


def test_every_damaged_block_is_in_the_same_report() -> None:
    text = CERTIFICATE[1:] + OTHER_CERTIFICATE + block("TRUSTED CERTIFICATE", DER) + CERTIFICATE.replace("MII", "M!I")
    with pytest.raises(Unread) as caught:
        certificates(text)
    assert [harm.split(":")[0] for harm, _ in caught.value.faults] == [
        "block 1, line 1",
        "block 3, line 23",
        "block 4, line 35",
    ]


def test_no_refusal_quotes_what_may_be_a_key() -> None:
    text = block("PRIVATE KEY", DER).replace("\n", " ")
    with pytest.raises(Unread) as caught:
        certificates(text)
    assert "MII" not in f"{caught.value} {caught.value.faults}"


COMMENTS = {
    "names and rules under them": "Corporate Root\n==============\n",
    "what openssl prints": "subject=CN = Root\nSHA256 Fingerprint=AB:CD\n        Signature Value:\n            30:45:02\n",
    "a comment of the operator's": "# ---- BEGIN our own authorities, not a CERTIFICATE ----\n",
    "a digest": f"{'0a' * 32}\n",
    "a bag of PKCS12": "Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n",
    "a text in Latin-1": "M\ufffdnchen\n",
}


@pytest.mark.parametrize("comment", COMMENTS.values(), ids=COMMENTS)
def test_text_between_blocks_is_fine(comment: str) -> None:
    assert certificates(f"{comment}{CERTIFICATE}{comment}{OTHER_CERTIFICATE}{comment}") == (
        CERTIFICATE,
        OTHER_CERTIFICATE,
    )


@pytest.mark.parametrize(
    "written",
    [
        b"\xef\xbb\xbf" + CERTIFICATE.encode(),
        CERTIFICATE.replace("\n", "\r\n").encode(),
        textwrap.indent(CERTIFICATE, "    ").encode(),
        "# M\u00fcnchen\n".encode("latin-1") + CERTIFICATE.encode(),
    ],
    ids=["byte order mark", "line ends of Windows", "indented", "a name in Latin-1"],
)
def test_a_file_is_read_however_it_was_saved(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "ca.pem").write_bytes(written)
    assert load(tmp_path / "ca.pem") == (CERTIFICATE,)


@pytest.mark.parametrize("content", [DER, CERTIFICATE.encode("utf-16")], ids=["DER", "UTF-16"])
def test_what_is_no_text_is_refused_with_the_command_that_converts_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ca.crt").write_bytes(content)
    with pytest.raises(Unread) as caught:
        load(tmp_path / "ca.crt")
    assert "openssl x509 -inform der -in ca.crt" in caught.value.faults[0][1]


def test_each_damaged_block_is_a_problem_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CERTIFICATE[1:] + block("TRUSTED CERTIFICATE", DER + TRUST))
    (tmp_path / "good.pem").write_text(OTHER_CERTIFICATE)
    config = stack_config("prod") | {"release": {"trustedCertificates": ["good.pem", "ca.pem"]}}
    with pytest.raises(SettingsError) as caught:
        Settings.parse(config, "prod", tmp_path)
    assert [(problem.setting, problem.value) for problem in caught.value.problems] == [
        ("release.trustedCertificates[1]", "ca.pem")
    ] * 2
    assert all("block" in problem.harm and problem.fix for problem in caught.value.problems)
