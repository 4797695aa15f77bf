"""API servers with their members of the store, as processes on loopback; and the people who ask them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.node.authority import NODES, Authority, Pair
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_address

BOOTSTRAPPER = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper"
ADMIN = ("system:admin", "system:masters")


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]

    @property
    def reason(self) -> str:
        return str(self.body.get("reason"))

    @property
    def message(self) -> str:
        return str(self.body.get("message"))


class Client:
    """Asks one server by HTTPS as one user, or as nobody."""

    def __init__(self, url: str, authority: Authority, pair: Pair | None) -> None:
        self.url = url
        self.context = ssl.create_default_context(cafile=str(authority.file))
        if pair:
            self.context.load_cert_chain(pair.certificate, pair.key)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        accept: str = "",
        limit: float = PATIENCE_SECONDS,
    ) -> Answer:
        """What the server answers, whatever it is; raises OSError when it does not."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        if data is not None:
            request.add_header("Content-Type", kind)
        if accept:
            request.add_header("Accept", accept)
        try:
            with urllib.request.urlopen(request, timeout=limit, context=self.context) as answer:
                return Answer(answer.status, _decoded(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _decoded(error.read()))

    def get(self, path: str, *, limit: float = PATIENCE_SECONDS) -> Answer:
        return self.ask("GET", path, limit=limit)

    def post(self, path: str, body: object) -> Answer:
        return self.ask("POST", path, body)

    def watch(self, path: str, seconds: int = 2 * PATIENCE_SECONDS) -> Iterator[dict[str, Any]]:
        """The events as they come, until the server ends the watch."""
        with urllib.request.urlopen(
            f"{self.url}{path}{'&' if '?' in path else '?'}watch=true&timeoutSeconds={seconds}",
            timeout=seconds + PATIENCE_SECONDS,
            context=self.context,
        ) as answer:
            yield from map(json.loads, answer)


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {"text": data.decode()}
    return found if isinstance(found, dict) else {"text": found}


class Member:
    """One process. Its ports and its directory stay the same when it is started again."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.api, self.members = (free_address() for _ in range(2))
        self.directory = cluster.directory / name
        self.directory.mkdir()
        self.log = cluster.directory / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://{self.api}"

    def start(self, *, bootstrap: bool = False, join: Iterable[Member] = ()) -> None:
        configuration = {
            "dir": str(self.directory / "data"),
            "id": self.name,
            "address": self.api,
            "members": self.members,
            "bootstrap": bootstrap,
            "heartbeatMillis": self.cluster.heartbeat,
            "patienceMillis": 20 * self.cluster.heartbeat,
            "compact": self.cluster.compact,
            "certificate": str(self.cluster.pair.certificate),
            "key": str(self.cluster.pair.key),
            "authority": str(self.cluster.authority.file),
            "join": [{"id": other.name, "address": other.members} for other in join],
        }
        file = self.directory / "configuration.json"
        file.write_text(json.dumps(configuration))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([self.cluster.program, file], stdout=log, stderr=log)

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As its service's manager would."""
        self._end(signal.SIGTERM)

    def leave(self) -> None:
        """Give up the membership, for good."""
        assert self.process
        self.process.send_signal(signal.SIGUSR1)

    def freeze(self) -> None:
        """Silent, but not gone: connections stay open."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def _end(self, how: signal.Signals) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(PATIENCE_SECONDS)
            self.process = None


class Cluster:
    """Members that know each other, and clients."""

    def __init__(
        self,
        program: Path,
        oc: Path,
        authority: Authority,
        directory: Path,
        *,
        members: int,
        heartbeat: int,
        compact: int = 0,
    ) -> None:
        self.program, self.client, self.authority, self.directory = program, oc, authority, directory
        self.heartbeat, self.compact = heartbeat, compact
        self.pair = authority.sign("miniature-member", server=True)
        self.members = [Member(self, f"cp-{number}") for number in range(members)]

    def __enter__(self) -> Cluster:
        first, *others = self.members
        for member in others:
            member.start()
        first.start(bootstrap=True, join=others)
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            with contextlib.suppress(OSError):
                member.kill()

    def start(self) -> None:
        for member in self.members:
            member.start()

    def ready(self) -> None:
        """Wait until every member answers /readyz and has taken part in a write."""
        for member in self.members:
            self.until(lambda url=member.url: self.as_(url=url, pair=None).get("/readyz").status == 200)
        if len(self.members) > 1:
            joined = f"member {self.members[-1].name} joined"
            self.until(lambda: joined in self.members[0].log.read_text())

    def until(self, happened: Any) -> None:
        """Wait until it happens."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_SECONDS:
            with contextlib.suppress(OSError):
                if happened():
                    return
            time.sleep(0.05)
        raise AssertionError(f"not within {PATIENCE_SECONDS} s:\n" + "\n".join(self.logs()))

    def logs(self) -> list[str]:
        return [f"{member.name}: {member.log.read_text()[-1500:]}" for member in self.members if member.log.exists()]

    def as_(
        self, user: str = ADMIN[0], *groups: str, url: str = "", pair: Pair | bool | None = True, days: int = 1
    ) -> Client:
        """A client by a certificate for the user; without one for pair=None."""
        if pair is True:
            pair = self.authority.sign(user, groups or (ADMIN[1:] if user == ADMIN[0] else ()), days=days)
        return Client(url or self.members[0].url, self.authority, pair or None)

    def node(self, name: str) -> Client:
        return self.as_(f"system:node:{name}", NODES)

    def oc(self, *words: str, url: str = "", stdin: str | None = None, home: Path | None = None):
        """Run the real client as the administrator."""
        return subprocess.run(
            self.oc_argv(*words, url=url),
            input=stdin,
            text=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            env={"PATH": os.environ["PATH"], "HOME": str(home or self.directory)},
        )

    def oc_argv(self, *words: str, url: str = "") -> list[str]:
        return [str(self.client), f"--kubeconfig={self.kubeconfig(url)}", *words]

    def kubeconfig(self, url: str = "") -> Path:
        url = url or self.members[0].url
        file = self.directory / f"{url.rpartition(':')[2]}.kubeconfig"
        if not file.exists():
            pair = self.authority.sign(ADMIN[0], ADMIN[1:])
            server = {"server": url, "certificate-authority": str(self.authority.file)}
            user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
            file.write_text(
                json.dumps(
                    {
                        "apiVersion": "v1",
                        "kind": "Config",
                        "clusters": [{"name": "c", "cluster": server}],
                        "users": [{"name": "u", "user": user}],
                        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                        "current-context": "x",
                    }
                )
            )
        return file
