"""One user with a random password, known to a service by an htpasswd line.

Owns the password and the line with its bcrypt hash (made once by the random provider and kept in the state, so the
line does not churn). Does not own the service: the mirror registry and the cluster's own login have one each.
"""

from __future__ import annotations

import pulumi
import pulumi_random as random

# bcrypt reads 72 bytes at most, so a longer password would be a weaker promise than it looks.
PASSWORD_LENGTH = 64


class HtpasswdUser(pulumi.ComponentResource):
    """`password` and `htpasswd` (one line, ending in a newline) are secret; `user` is not."""

    user: str
    password: pulumi.Output[str]
    htpasswd: pulumi.Output[str]

    def __init__(self, name: str, user: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:HtpasswdUser", name, None, opts)
        self.user = user
        password = random.RandomPassword(
            f"{name}-password",
            length=PASSWORD_LENGTH,
            special=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.password = pulumi.Output.secret(password.result)
        self.htpasswd = pulumi.Output.secret(password.bcrypt_hash.apply(lambda digest: f"{user}:{digest}\n"))
        self.register_outputs({"user": user})
