"""What to do about errors in the words of Pulumi, pip, apt and Go, where those leave a newcomer alone.

Owns: which words mean what. Does not own: errors of this project's program, which bring their remedies themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

_RETRIEVE = (
    "the state was made with another passphrase. Put the right one back: it is in `.lab/passphrase`, or where "
    "PULUMI_CONFIG_PASSPHRASE_FILE or PULUMI_CONFIG_PASSPHRASE say, if one of them is set. If it is lost: "
    "docs/operations.md, 'Secrets and the passphrase'"
)
SPACE = "free some space, then run the same again: it goes on where it stopped"
_OFFLINE = (
    "this machine reaches no network, or no name server: what is missing here has to come from package registries "
    "once. Where a proxy or a mirror is needed, apt, pip (PIP_INDEX_URL) and Go (GOPROXY) take their usual settings"
)
# A machine whose name server is just being started; sudo goes on.
_SUDO = "sudo: unable to resolve host"
_KNOWN = {
    "incorrect passphrase": _RETRIEVE,
    "message authentication failed": _RETRIEVE,
    "passphrase must be set with": "work in `make shell`, where it is set, or set "
    "PULUMI_CONFIG_PASSPHRASE_FILE yourself",
    "unable to read PULUMI_CONFIG_PASSPHRASE_FILE": "correct PULUMI_CONFIG_PASSPHRASE_FILE: it names a file that holds "
    "the passphrase and nothing else",
    "currently locked by": "another `pulumi` works on this stack: wait for its end, then run the same again. If it was "
    "killed, `make up` takes its lock back",
    "PULUMI_ACCESS_TOKEN must be set": "work in `make shell`, where the state's place is set, or set "
    "PULUMI_BACKEND_URL yourself, or `pulumi login`",
    "no stack named": "work in `make shell`, which makes the stack where it is missing, or `pulumi stack init`",
    "does not satisfy the version": "work in `make shell`, which has a Pulumi that is new enough, or update yours",
    "no space left on device": SPACE,
    "temporary failure in name resolution": _OFFLINE,
    "temporary failure resolving": _OFFLINE,
    "dial tcp: lookup": _OFFLINE,
}


def of(lines: Iterable[str]) -> list[str]:
    """The remedies for what a program said, each once."""
    text = "\n".join(line for line in lines if _SUDO not in line).lower()
    return list(dict.fromkeys(remedy for words, remedy in _KNOWN.items() if words.lower() in text))
