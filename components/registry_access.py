"""Who may use the mirror registry.

Owns the random password of the registry's user and the htpasswd line that carries its bcrypt hash (made once by
the random provider and kept in the state, so the line does not churn). Does not own the registry itself.
"""

from __future__ import annotations

import pulumi
import pulumi_random as random

USER = "okd"
# bcrypt reads 72 bytes at most, so a longer password would be a weaker promise than it looks.
PASSWORD_LENGTH = 64


class RegistryAccess(pulumi.ComponentResource):
    """`password` and `htpasswd` (one line, ending in a newline) are secret; `user` is not."""

    user: str = USER
    password: pulumi.Output[str]
    htpasswd: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:RegistryAccess", name, None, opts)
        password = random.RandomPassword(
            f"{name}-password",
            length=PASSWORD_LENGTH,
            special=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.password = pulumi.Output.secret(password.result)
        self.htpasswd = pulumi.Output.secret(password.bcrypt_hash.apply(lambda digest: f"{USER}:{digest}\n"))
        self.register_outputs({"user": USER})
