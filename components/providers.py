"""The providers that need no settings: tls, random and command.

Owns one explicit provider of each, for every component to be given. They can be declared before anything is planned:
the engine starts one plugin after the other, a tenth of a second each, and does so while the program plans. Does not
own the libvirt provider, whose URI is a setting (hypervisor.py).
"""

from __future__ import annotations

import pulumi
import pulumi_command
import pulumi_random
import pulumi_tls

PROVIDERS = "providers"


class Providers(pulumi.ComponentResource):
    """`every` holds one provider a package, for the `providers` of a component's options."""

    every: list[pulumi.ProviderResource]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("okd:index:Providers", name, None, opts)
        self.every = [
            pulumi_tls.Provider(f"{name}-tls", opts=self._taking_over("5_6_2")),
            pulumi_random.Provider(f"{name}-random", opts=self._taking_over("4_21_4")),
            pulumi_command.Provider(f"{name}-command", opts=self._taking_over("1_2_1")),
        ]
        self.register_outputs({})

    def _taking_over(self, version: str) -> pulumi.ResourceOptions:
        """From the engine's own provider, which stacks were made with before: another one would make all of it anew."""
        return pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(name=f"default_{version}", parent=None)])
