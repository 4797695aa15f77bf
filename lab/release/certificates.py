"""The upstream registry's certificate and the authority that signed it.

Owns: both, made by openssl for ten years. The authority's key is thrown away: it signs nothing else.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cluster import limits
from lab.progress import StepFailed

CA = "ca.crt"
CERTIFICATE = "server.crt"
KEY = "server.key"
NAME = "upstream.lab.example"
_DAYS = "3650"
_CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = Upstream of the lab (miniature release)
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:{address}, DNS:{name}
"""


def make(directory: Path, address: str) -> None:
    """Write ca.crt, server.crt and server.key for a server at `address`."""
    directory.mkdir(parents=True)
    (directory / "openssl.cnf").write_text(_CONFIG.format(address=address, name=NAME))
    new = ["-config", "openssl.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"]
    _openssl(
        directory, "req", "-x509", *new, "-extensions", "authority", "-days", _DAYS, "-keyout", "ca.key", "-out", CA
    )
    _openssl(directory, "req", *new, "-subj", f"/CN={address}", "-keyout", KEY, "-out", "server.csr")
    signed = ["-in", "server.csr", "-CA", CA, "-CAkey", "ca.key", "-CAcreateserial", "-sha256", "-days", _DAYS]
    _openssl(
        directory, "x509", "-req", *signed, "-extfile", "openssl.cnf", "-extensions", "server", "-out", CERTIFICATE
    )
    (directory / KEY).chmod(0o600)
    for path in directory.iterdir():
        if path.name not in (CA, CERTIFICATE, KEY):
            path.unlink()


def _openssl(directory: Path, *words: str) -> None:
    plain = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            ["openssl", *words],
            cwd=directory,
            env=plain,
            capture_output=True,
            text=True,
            timeout=limits.LAB_TOOL.seconds,
        )
    except FileNotFoundError as error:
        raise StepFailed("openssl is not installed", remedy="apt-get install openssl") from error
    if done.returncode:
        raise StepFailed(f"openssl {words[0]}", done.stderr.splitlines()[-5:], "see the lines above")
