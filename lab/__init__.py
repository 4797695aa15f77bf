"""A hypervisor, an upstream and a toolchain in a box (see docs/architecture.md)."""
