"""How a stack is built: one Pulumi ComponentResource a file, fed with plain facts from `cluster/`."""
