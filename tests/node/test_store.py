"""The store's members: what a lost leader, a lost quorum, a power cut and a departure do to the API."""

from __future__ import annotations

import concurrent.futures
import socket
import ssl
import time

import pytest

from tests.node.authority import Authority, Pair
from tests.node.conftest import Make
from tests.node.members import Client, Cluster, Member
from tests.node.objects import MERGE, config_map
from tests.patience import PATIENCE_SECONDS

MAPS = "/api/v1/namespaces/store/configmaps"


def clients(cluster: Cluster) -> dict[str, Client]:
    return {member.name: cluster.as_(url=member.url) for member in cluster.members}


def leader(cluster: Cluster) -> Member:
    """The first member of a new cluster leads it."""
    return cluster.members[0]


def compacted(member: Member) -> bool:
    """Whether a snapshot of the member is complete; one that is not ends in .tmp."""
    return any(found.suffix != ".tmp" for found in (member.directory / "data" / "snapshots").glob("*-*"))


def test_what_one_member_took_every_member_tells(three: Cluster) -> None:
    asked = clients(three)
    for name, client in asked.items():
        assert client.post(MAPS, config_map(name)).status == 201
    for client in asked.values():
        three.until(lambda client=client: len(client.get(MAPS).body["items"]) == 3)


def test_a_client_that_goes_on_at_another_member_finds_what_it_wrote(three: Cluster) -> None:
    first, _, last = clients(three).values()
    for number in range(20):
        made = last.post(MAPS, config_map(f"m-{number}")).body["metadata"]["resourceVersion"]
        assert first.get(f"{MAPS}/m-{number}?resourceVersion={made}").status == 200


def test_a_watch_at_a_follower_tells_what_the_leader_took(three: Cluster) -> None:
    asked = clients(three)
    asked["cp-2"].post(MAPS, config_map("before"))
    watching = asked["cp-2"].watch(MAPS)
    events = [next(watching)]
    for name in ("seen", "after"):
        asked["cp-0"].post(MAPS, config_map(name))
    events += [next(watching), next(watching)]
    told = [(event["type"], event["object"]["metadata"]["name"]) for event in events]
    assert told == [("ADDED", "before"), ("ADDED", "seen"), ("ADDED", "after")]


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_a_lost_leader_is_replaced_and_reads_go_on_meanwhile(make: Make, how: str) -> None:
    three = make(3, heartbeat=0)
    asked = clients(three)
    assert asked["cp-1"].post(MAPS, config_map("before")).status == 201
    getattr(leader(three), how)()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        writing = [pool.submit(asked[name].post, MAPS, config_map(f"after-{name}")) for name in ("cp-1", "cp-2")]
        while not all(each.done() for each in writing):
            assert asked["cp-1"].get(f"{MAPS}/before").status == 200
            assert asked["cp-2"].get("/readyz").status == 200
            time.sleep(0.1)
    assert [each.result().status for each in writing] == [201, 201]


def test_a_member_that_comes_back_catches_up(three: Cluster) -> None:
    asked = clients(three)
    three.members[2].kill()
    assert asked["cp-0"].post(MAPS, config_map("missed")).status == 201
    three.members[2].start()
    three.until(lambda: asked["cp-2"].get("/readyz").status == 200)
    assert asked["cp-2"].get(f"{MAPS}/missed").status == 200


def test_without_a_majority_writes_are_refused_to_be_tried_again_and_reads_are_answered(three: Cluster) -> None:
    asked = clients(three)
    assert asked["cp-0"].post(MAPS, config_map("kept")).status == 201
    three.members[1].kill()
    three.members[2].kill()
    refused = asked["cp-0"].post(MAPS, config_map("lost"))
    assert (refused.status, refused.reason) == (503, "ServiceUnavailable")
    assert refused.body["details"] == {"retryAfterSeconds": 1}
    assert asked["cp-0"].get(f"{MAPS}/kept").status == 200
    three.until(lambda: asked["cp-0"].get("/readyz").status == 500)


def test_after_a_power_cut_of_all_members_everything_is_there_again(three: Cluster) -> None:
    asked = clients(three)
    made = [asked["cp-1"].post(MAPS, config_map(f"m-{number}", n=str(number))) for number in range(30)]
    before = [answer.body["metadata"] for answer in made]
    for member in three.members:
        member.kill()
    three.start()
    three.until(lambda: all(client.get("/readyz").status == 200 for client in asked.values()))
    for client in asked.values():
        found = {item["metadata"]["name"]: item["metadata"] for item in client.get(MAPS).body["items"]}
        assert [found[metadata["name"]] for metadata in before] == before
    assert asked["cp-2"].post(MAPS, config_map("new")).status == 201


def test_a_member_that_was_started_alone_tells_nothing_rather_than_the_past(three: Cluster) -> None:
    asked = clients(three)
    assert asked["cp-0"].post(MAPS, config_map("kept")).status == 201
    for member in three.members:
        member.kill()
    three.members[0].start()
    three.until(lambda: asked["cp-0"].get("/livez").status == 200)
    for path in (f"{MAPS}/kept", MAPS, "/apis"):
        answer = asked["cp-0"].get(path)
        assert (answer.status, answer.reason) == (503, "ServiceUnavailable")
    assert asked["cp-0"].get("/readyz").status == 500
    three.members[2].start()
    three.until(lambda: asked["cp-0"].get(f"{MAPS}/kept").status == 200)


def test_the_leader_leaves_and_the_others_go_on_without_it(three: Cluster) -> None:
    asked = clients(three)
    gone = leader(three)
    gone.leave()
    three.until(lambda: "member cp-0 left" in gone.log.read_text())
    gone.stop()
    assert asked["cp-1"].post(MAPS, config_map("after")).status == 201
    three.members[2].kill()
    # The one that went is no longer counted: one of two is no majority.
    assert asked["cp-1"].post(MAPS, config_map("alone")).status == 503


def test_of_two_members_one_leaves_and_the_other_lives_alone_and_starts_again(make: Make) -> None:
    two = make(2)
    first, second = two.members
    asked = clients(two)
    assert asked["cp-0"].post(MAPS, config_map("before")).status == 201
    first.leave()
    two.until(lambda: "member cp-0 left" in first.log.read_text())
    first.stop()
    assert asked["cp-1"].post(MAPS, config_map("after")).status == 201
    second.kill()
    second.start()
    two.until(lambda: asked["cp-1"].get("/readyz").status == 200)
    assert [item["metadata"]["name"] for item in asked["cp-1"].get(MAPS).body["items"]] == ["after", "before"]


def test_a_log_that_was_compacted_tells_the_same_and_so_does_who_joins_after(make: Make) -> None:
    three = make(3, compact=40)
    asked = clients(three)
    three.members[2].kill()
    assert asked["cp-0"].post(MAPS, config_map("changed")).status == 201
    for number in range(200):
        patch = {"data": {"n": str(number)}}
        assert asked["cp-0"].ask("PATCH", f"{MAPS}/changed", patch, kind=MERGE).status == 200
    three.until(lambda: compacted(three.members[0]))
    expected = asked["cp-0"].get(MAPS).body["items"]
    # The third one missed more than the log still holds.
    three.members[2].start()
    three.until(lambda: asked["cp-2"].get("/readyz").status == 200)
    assert asked["cp-2"].get(MAPS).body["items"] == expected
    for member in three.members:
        member.kill()
    three.start()
    three.until(lambda: all(client.get("/readyz").status == 200 for client in asked.values()))
    for client in asked.values():
        assert client.get(MAPS).body["items"] == expected
    revision = expected[0]["metadata"]["resourceVersion"]
    made = asked["cp-1"].post(MAPS, config_map("new")).body["metadata"]["resourceVersion"]
    assert int(made) > int(revision)


def test_a_watch_whose_past_was_compacted_is_expired(make: Make) -> None:
    alone = make(1, compact=40)
    (client,) = clients(alone).values()
    first = client.post(MAPS, config_map("first")).body["metadata"]["resourceVersion"]
    for number in range(100):
        client.post(MAPS, config_map(f"m-{number}"))
    alone.until(lambda: compacted(alone.members[0]))
    alone.members[0].kill()
    alone.members[0].start()
    alone.until(lambda: client.get("/readyz").status == 200)
    answer = client.get(f"{MAPS}?watch=true&resourceVersion={first}")
    assert (answer.status, answer.reason) == (410, "Expired")


def test_a_server_that_stops_ends_its_watches_and_says_beforehand_that_it_is_not_ready(three: Cluster) -> None:
    asked = clients(three)
    asked["cp-1"].post(MAPS, config_map("before"))
    watching = asked["cp-1"].watch(MAPS)
    assert next(watching)["object"]["metadata"]["name"] == "before"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        stopping = pool.submit(three.members[1].stop)
        three.until(lambda: asked["cp-1"].get("/readyz").status == 500)
        assert asked["cp-1"].get(MAPS).status == 200
        assert list(watching) == []
        stopping.result(PATIENCE_SECONDS)


def test_a_member_whose_certificate_another_authority_signed_is_not_let_in(
    three: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = Authority(tmp_path_factory.mktemp("foreign")).sign("miniature-member", server=True)
    context = ssl.create_default_context(cafile=str(three.authority.file))
    host, _, port = three.members[1].members.partition(":")

    def reply(pair: Pair) -> bytes:
        context.load_cert_chain(*pair)
        with (
            socket.create_connection((host, int(port)), PATIENCE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            secured.sendall(b'M{"verb":"revision"}\n')
            return secured.recv(1000)

    assert reply(three.pair) == b"{}\n"
    with pytest.raises(ssl.SSLError, match=r"unknown ca|certificate"):
        reply(foreign)
