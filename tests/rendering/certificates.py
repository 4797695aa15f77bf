"""Stand-ins for what is known only at deploy time, made with openssl: a CA, a certificate it signed, a password file."""

from __future__ import annotations

import subprocess
from pathlib import Path

USER, PASSWORD = "okd", "right"
HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuu8xaCxxL82bnl.UY74PMksDxIJShppPC\n"  # bcrypt of PASSWORD, cost 5


def make(directory: Path, names: list[str]) -> dict[str, str]:
    """PEM texts by the names that HostFile.value uses; the certificate is valid for `names` (DNS:… or IP:…)."""

    def openssl(*argv: str) -> None:
        subprocess.run(["openssl", *argv], cwd=directory, check=True, capture_output=True)

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test CA", "-days", "2")
    openssl("req", *new_key, "-keyout", "registry.key", "-out", "registry.csr", "-subj", "/CN=registry")
    (directory / "san").write_text(f"subjectAltName={','.join(names)}\n")
    sign = ["-in", "registry.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san"]
    openssl("x509", "-req", *sign, "-out", "registry.crt", "-days", "2")
    files = {"ca-certificate": "ca.crt", "registry-certificate": "registry.crt", "registry-key": "registry.key"}
    return {name: (directory / file).read_text() for name, file in files.items()} | {"registry-htpasswd": HTPASSWD}
