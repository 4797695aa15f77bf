"""The stack's own certificate authority, trusted by the services host.

Owns the CA certificate's place in the system store. Does not own the CA.
"""

from __future__ import annotations

from cluster.host_files import Bundle, Check, Health, HostFile
from cluster.site import Site


def bundle(site: Site) -> Bundle:
    """The CA certificate; no daemon, only a store to rebuild."""
    host_os = site.host_os
    anchor = host_os.trust_anchor
    return Bundle(
        service="trust",
        packages=("ca-certificates", "openssl"),
        files=(HostFile(path=anchor, value="ca-certificate", selinux=host_os.label("cert_t")),),
        reload=host_os.trust_update,
        health=(
            Health("is a certificate", ("openssl", "x509", "-noout", "-in", anchor)),
            Health("the store trusts it", ("openssl", "verify", "-CAfile", host_os.trust_store, anchor)),
        ),
    )


def check_argv(path: str) -> Check:
    """OpenSSL's parser on a certificate."""
    return Check(f"openssl {path.rsplit('/', 1)[-1]}", ("openssl", "x509", "-noout", "-in", path))
