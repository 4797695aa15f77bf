"""How the program reaches the services host and knows that it is the right one.

Owns the login key pair and the host key pair. The host key is injected by cloud-init and pinned on every
connection, so no connection ever trusts a key on first use. Does not own connections.
"""

from __future__ import annotations

import pulumi
import pulumi_tls as tls


class SshAccess(pulumi.ComponentResource):
    """Private keys are OpenSSH PEM and secret; public keys are one `authorized_keys` line without newline."""

    login_private_key: pulumi.Output[str]
    login_public_key: pulumi.Output[str]
    host_private_key: pulumi.Output[str]
    host_public_key: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:SshAccess", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        login = tls.PrivateKey(f"{name}-login-key", algorithm="ED25519", opts=child)
        host = tls.PrivateKey(f"{name}-host-key", algorithm="ED25519", opts=child)
        self.login_private_key = pulumi.Output.secret(login.private_key_openssh)
        self.login_public_key = login.public_key_openssh.apply(str.strip)
        self.host_private_key = pulumi.Output.secret(host.private_key_openssh)
        self.host_public_key = host.public_key_openssh.apply(str.strip)
        self.register_outputs({"loginPublicKey": self.login_public_key, "hostPublicKey": self.host_public_key})
