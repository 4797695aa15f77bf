"""How long tests wait for local work: a slow machine is no failure."""

from __future__ import annotations

PATIENCE_SECONDS = 600
# Whole machines on an emulated processor, and the lab's own commands, which may build first.
BOOT_SECONDS = 3 * PATIENCE_SECONDS
# `make up` for a whole stack, or less.
UPDATE_SECONDS = 8 * BOOT_SECONDS
