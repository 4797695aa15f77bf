"""Builds that run beside other stages.

Owns: one thread, and handing on what went wrong in it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Building:
    """Calls each of the given functions in turn, in a thread that does not keep the process alive."""

    def __init__(self, *builds: Callable[[], object]) -> None:
        self._builds = builds
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="release tools")
        self._thread.start()

    def wait(self) -> None:
        """Return when all is built. Raises what a build raised."""
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            for build in self._builds:
                build()
        except BaseException as error:
            self._error = error
