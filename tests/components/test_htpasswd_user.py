"""The line of an htpasswd file, as the tools that read it see it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from components.htpasswd_user import PASSWORD_LENGTH, SALT_LENGTH, line

PASSWORD, SALT = "p4ss" * (PASSWORD_LENGTH // 4), "abcDEF123" * 2 + "xyz"


def checked(file: Path, password: str) -> int:
    argv = ["htpasswd", "-vi", str(file), "okd"]
    return subprocess.run(argv, input=password, text=True, capture_output=True, check=False).returncode


def test_the_password_opens_and_another_does_not(tmp_path: Path) -> None:
    assert len(SALT) == SALT_LENGTH
    file = tmp_path / "htpasswd"
    file.write_text(line("okd", PASSWORD, SALT))
    assert checked(file, PASSWORD) == 0
    assert checked(file, PASSWORD[:-1]) != 0


def test_the_line_is_the_same_each_time_and_another_with_another_salt() -> None:
    assert line("okd", PASSWORD, SALT) == line("okd", PASSWORD, SALT)
    assert line("okd", PASSWORD, SALT) != line("okd", PASSWORD, SALT[::-1])
