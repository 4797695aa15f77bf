"""One user with a random password, known to a service by an htpasswd line.

Owns the password, and the line with its bcrypt hash over a salt that is kept in the state, so the line does not churn.
Does not own the service: the mirror registry and the cluster's own login have one each.
"""

from __future__ import annotations

import bcrypt
import pulumi
import pulumi_random as random

# bcrypt reads 72 bytes at most, so a longer password would be a weaker promise than it looks.
PASSWORD_LENGTH = 64
# The registry hashes the password anew for every request. 64 random characters cannot be guessed however quick that is,
# and at the usual 10 a mirror spends more time on its password than on copying small images.
COST = 5
# 22 characters hold 128 bits, of the last one only two: "O" is one that leaves the others zero.
SALT_LENGTH, SALT_END = 21, "O"


def line(user: str, password: str, salt: str) -> str:
    """The user's line of an htpasswd file, ending in a newline; `salt` is `SALT_LENGTH` letters and digits."""
    digest = bcrypt.hashpw(password.encode(), f"$2y${COST:02}${salt}{SALT_END}".encode())
    return f"{user}:{digest.decode()}\n"


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
        salt = random.RandomString(
            f"{name}-salt", length=SALT_LENGTH, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        self.password = pulumi.Output.secret(password.result)
        known = pulumi.Output.all(password=self.password, salt=salt.result)
        self.htpasswd = pulumi.Output.secret(known.apply(lambda parts: line(user, parts["password"], parts["salt"])))
        self.register_outputs({"user": user})
