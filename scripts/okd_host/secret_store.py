"""secrets SERVICE: keep the secret files of a service on this host for its next delivery.

Document: {NAME: text, ...}. Written to /var/lib/okd-libvirt/secrets/SERVICE/NAME, mode 0600, root. Prints names only.
A file that already holds the text is not touched.
"""

from __future__ import annotations

import os
from typing import Any

from okd_host import bundle, files, report


def main(arguments: list[str], document: Any) -> None:
    """Store the secrets of `document` for the service in `arguments`."""
    service = bundle.service_name(arguments[0] if arguments else None)
    if not isinstance(document, dict) or not all(isinstance(text, str) for text in document.values()):
        raise report.Failed("the document must map names to texts", remedy="give {NAME: text} on stdin")
    names = [bundle.service_name(name) for name in document]
    stages = report.Stages(["secrets"])
    with files.lock(service, "secrets"), stages("secrets"):
        directory = files.private_directory(files.private_directory(files.SECRETS) + f"/{service}")
        written = 0
        for name in names:
            path, content = os.path.join(directory, name), document[name].encode()
            try:
                with open(path, "rb") as file:
                    known = file.read() == content
            except OSError:
                known = False
            if not known:
                files.write_now(path, content, mode=0o600)
                written += 1
        stages.detail = f"{', '.join(names)} for {service}, {written} changed"
