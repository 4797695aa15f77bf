from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scripts.host import Host


@pytest.fixture
def host() -> Iterator[Host]:
    """A services host of the test's own."""
    made = Host()
    try:
        yield made
    finally:
        made.close()
