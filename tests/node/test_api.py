"""The miniature Kubernetes API: each request is answered as the real server does."""

from __future__ import annotations

import base64
import concurrent.futures
import datetime

import pytest

from tests.node.members import Client
from tests.node.objects import CSRS, JSON_PATCH, MERGE, OPERATORS, STRATEGIC, TABLE, config_map, node
from tests.patience import PATIENCE_SECONDS


class TestObjects:
    def test_an_object_gets_an_identity_when_it_is_made(self, admin: Client, maps: str, namespace: str) -> None:
        made = admin.post(maps, config_map("a", x="1")).body
        assert made["metadata"]["namespace"] == namespace
        assert len(made["metadata"]["uid"]) == 36
        assert int(made["metadata"]["resourceVersion"]) > 0
        created = datetime.datetime.fromisoformat(made["metadata"]["creationTimestamp"])
        assert abs((datetime.datetime.now(datetime.UTC) - created).total_seconds()) < PATIENCE_SECONDS
        assert admin.get(f"{maps}/a").body == made

    def test_a_name_that_is_taken_is_refused(self, admin: Client, maps: str) -> None:
        admin.post(maps, config_map("a"))
        answer = admin.post(maps, config_map("a"))
        assert (answer.status, answer.reason) == (409, "AlreadyExists")
        assert answer.message == 'configmaps "a" already exists'

    def test_generated_names_differ(self, admin: Client, maps: str) -> None:
        body = config_map("") | {"metadata": {"generateName": "a-"}}
        names = {admin.post(maps, body).body["metadata"]["name"] for _ in range(10)}
        assert len(names) == 10
        assert all(name.startswith("a-") and len(name) == 7 for name in names)

    def test_what_is_not_there_is_not_found(self, admin: Client, maps: str) -> None:
        for method, path in (("GET", f"{maps}/a"), ("PUT", f"{maps}/a"), ("DELETE", f"{maps}/a")):
            answer = admin.ask(method, path, config_map("a") if method == "PUT" else None)
            assert (answer.status, answer.reason) == (404, "NotFound")
            assert answer.message == 'configmaps "a" not found'
        assert admin.get("/apis/nothing.example/v1/things").status == 404
        assert admin.get("/api/v1/namespaces/x/pods/y/log").status == 404

    def test_a_stale_revision_is_a_conflict(self, admin: Client, maps: str) -> None:
        first = admin.post(maps, config_map("a", x="1")).body
        assert admin.ask("PUT", f"{maps}/a", first | {"data": {"x": "2"}}).status == 200
        answer = admin.ask("PUT", f"{maps}/a", first | {"data": {"x": "3"}})
        assert (answer.status, answer.reason) == (409, "Conflict")
        stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"x": "3"}}
        assert admin.ask("PATCH", f"{maps}/a", stale, kind=MERGE).status == 409
        assert admin.get(f"{maps}/a").body["data"] == {"x": "2"}

    def test_patches_that_name_no_revision_are_all_applied(self, admin: Client, maps: str) -> None:
        admin.post(maps, config_map("a"))

        def add(number: int) -> int:
            # What has lost against others many times in a row is refused, as by a real API server, and asked again.
            while (status := admin.ask("PATCH", f"{maps}/a", {"data": {f"k{number}": "v"}}, kind=MERGE).status) == 409:
                pass
            return status

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert set(pool.map(add, range(20))) == {200}
        assert len(admin.get(f"{maps}/a").body["data"]) == 20

    def test_a_change_that_changes_nothing_is_none(self, admin: Client, maps: str) -> None:
        first = admin.post(maps, config_map("a", x="1")).body
        assert admin.ask("PUT", f"{maps}/a", config_map("a", x="1")).body == first

    def test_a_generation_counts_what_is_wanted_and_not_how_it_is(self, admin: Client) -> None:
        admin.post("/api/v1/nodes", node("counted"))
        admin.ask("PATCH", "/api/v1/nodes/counted/status", {"status": {"phase": "x"}}, kind=MERGE)
        path = "/api/v1/nodes/counted"
        assert admin.get(path).body["metadata"]["generation"] == 1
        admin.ask("PATCH", path, {"spec": {"unschedulable": True}}, kind=MERGE)
        assert admin.get(path).body["metadata"]["generation"] == 2

    def test_status_changes_at_its_own_path_only(self, admin: Client) -> None:
        operator = {"apiVersion": "config.openshift.io/v1", "kind": "ClusterOperator", "metadata": {"name": "separate"}}
        admin.post(OPERATORS, operator)
        path = f"{OPERATORS}/separate"
        both = {"status": {"relatedObjects": ["x"]}, "metadata": {"labels": {"a": "b"}}}
        changed = admin.ask("PATCH", path, both, kind=MERGE).body
        assert ("status" in changed, changed["metadata"]["labels"]) == (False, {"a": "b"})
        both["metadata"] = {"labels": {"a": "c"}}
        changed = admin.ask("PATCH", f"{path}/status", both, kind=MERGE).body
        assert (changed["status"], changed["metadata"]["labels"]) == ({"relatedObjects": ["x"]}, {"a": "b"})

    def test_identity_does_not_change(self, admin: Client, maps: str) -> None:
        first = admin.post(maps, config_map("a")).body["metadata"]
        theirs = {"metadata": {"uid": "another"}}
        assert admin.ask("PATCH", f"{maps}/a", theirs, kind=MERGE).status == 409
        assert admin.ask("PATCH", f"{maps}/a", {"metadata": {"name": "b"}}, kind=MERGE).status == 400
        older = {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}
        assert admin.ask("PATCH", f"{maps}/a", older, kind=MERGE).body["metadata"] == first

    def test_an_object_of_another_type_or_place_is_refused(self, admin: Client, maps: str) -> None:
        for body in (
            config_map("a") | {"kind": "Secret"},
            config_map("a") | {"apiVersion": "v2"},
            config_map("a") | {"metadata": {"name": "a", "namespace": "elsewhere"}},
            b"{not json",
            b"[]",
            b"",
        ):
            assert admin.ask("POST", maps, body).status == 400
        for name in ("", "a/b", ".."):
            assert admin.post(maps, config_map(name)).status == 422

    def test_bodies_that_are_not_json_are_refused_by_their_type(self, admin: Client, maps: str) -> None:
        for kind in ("application/vnd.kubernetes.protobuf", "application/yaml"):
            assert admin.ask("POST", maps, config_map("a"), kind=kind).status == 415

    def test_a_body_that_is_too_large_is_refused(self, admin: Client, maps: str) -> None:
        assert admin.post(maps, config_map("a", x="y" * (3 << 20))).status == 413

    def test_answers_are_json_whatever_is_asked_for(self, admin: Client) -> None:
        answer = admin.ask("GET", "/api/v1/nodes", accept="application/vnd.kubernetes.protobuf")
        assert answer.body["kind"] == "NodeList"

    def test_secrets_are_kept_encoded(self, admin: Client, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/secrets"
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"x": "ü"}}
        made = admin.post(path, secret).body
        assert (made["data"], made["type"]) == ({"x": base64.b64encode("ü".encode()).decode()}, "Opaque")
        assert "stringData" not in made

    def test_a_cluster_scoped_object_has_no_namespace(self, admin: Client) -> None:
        body = {"apiVersion": "config.openshift.io/v1", "kind": "ClusterVersion"}
        body["metadata"] = {"name": "scoped", "namespace": "openshift-cluster-version"}
        made = admin.post("/apis/config.openshift.io/v1/clusterversions", body)
        assert (made.status, "namespace" in made.body["metadata"]) == (201, False)

    def test_a_dry_run_leaves_nothing_behind(self, admin: Client, maps: str) -> None:
        assert admin.post(f"{maps}?dryRun=All", config_map("a")).status == 201
        assert admin.get(f"{maps}/a").status == 404
        admin.post(maps, config_map("a", x="1"))
        assert admin.ask("PATCH", f"{maps}/a?dryRun=All", {"data": {"x": "2"}}, kind=MERGE).body["data"] == {"x": "2"}
        assert admin.ask("DELETE", f"{maps}/a?dryRun=All").status == 200
        assert admin.get(f"{maps}/a").body["data"] == {"x": "1"}


class TestDeleting:
    def test_it_is_gone(self, admin: Client, maps: str) -> None:
        made = admin.post(maps, config_map("a")).body
        answer = admin.ask("DELETE", f"{maps}/a")
        assert (answer.body["status"], answer.body["details"]["uid"]) == ("Success", made["metadata"]["uid"])
        assert admin.get(f"{maps}/a").status == 404

    def test_another_object_of_that_name_stays(self, admin: Client, maps: str) -> None:
        admin.post(maps, config_map("a"))
        assert admin.ask("DELETE", f"{maps}/a", {"preconditions": {"uid": "another"}}).status == 409
        assert admin.get(f"{maps}/a").status == 200

    def test_finalizers_hold_it(self, admin: Client, maps: str) -> None:
        body = config_map("a")
        body["metadata"]["finalizers"] = ["example/wait"]
        admin.post(maps, body)
        assert admin.ask("DELETE", f"{maps}/a").body["metadata"]["deletionTimestamp"]
        assert admin.get(f"{maps}/a").status == 200
        admin.ask("PATCH", f"{maps}/a", {"metadata": {"finalizers": None}}, kind=MERGE)
        assert admin.get(f"{maps}/a").status == 404

    def test_a_collection_goes_by_its_labels(self, admin: Client, maps: str) -> None:
        admin.post(maps, config_map("a", {"go": "yes"}))
        admin.post(maps, config_map("b"))
        assert admin.ask("DELETE", f"{maps}?labelSelector=go%3Dyes").status == 200
        assert [item["metadata"]["name"] for item in admin.get(maps).body["items"]] == ["b"]

    def test_with_a_namespace_goes_what_is_in_it(self, admin: Client, maps: str, namespace: str) -> None:
        admin.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        admin.post(maps, config_map("a"))
        assert admin.ask("DELETE", f"/api/v1/namespaces/{namespace}").status == 200
        assert admin.get(maps).body["items"] == []


class TestSelecting:
    @pytest.mark.parametrize(
        ("selector", "expected"),
        [
            ("labelSelector=tier%3Dfront", {"a"}),
            ("labelSelector=tier!%3Dfront", {"b", "c"}),
            ("labelSelector=tier", {"a", "b"}),
            ("labelSelector=!tier", {"c"}),
            ("labelSelector=tier+in+(front,back)", {"a", "b"}),
            ("labelSelector=tier+notin+(front,back),!other", {"c"}),
            ("fieldSelector=metadata.name%3Da", {"a"}),
            ("fieldSelector=metadata.name!%3Da&labelSelector=tier", {"b"}),
        ],
    )
    def test_by_labels_and_fields(self, admin: Client, maps: str, selector: str, expected: set[str]) -> None:
        for name, labels in (("a", {"tier": "front"}), ("b", {"tier": "back"}), ("c", {})):
            admin.post(maps, config_map(name, labels))
        assert {item["metadata"]["name"] for item in admin.get(f"{maps}?{selector}").body["items"]} == expected

    @pytest.mark.parametrize("selector", ["labelSelector=a+b", "labelSelector=a+in+b", "fieldSelector=x"])
    def test_what_is_no_selector_is_refused(self, admin: Client, maps: str, selector: str) -> None:
        assert admin.get(f"{maps}?{selector}").status == 400

    def test_pods_by_node_and_phase_in_all_namespaces(self, admin: Client, namespace: str) -> None:
        for number, name in enumerate((f"{namespace}-x", f"{namespace}-y")):
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": name}}
            assert admin.post(f"/api/v1/namespaces/{namespace}-{number}/pods", pod).status == 201
        chosen = admin.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{namespace}-x,status.phase!%3DFailed")
        assert [item["metadata"]["namespace"] for item in chosen.body["items"]] == [f"{namespace}-0"]


class TestPatching:
    def test_strategic_patches_merge_lists_by_their_keys(self, admin: Client) -> None:
        admin.post("/api/v1/nodes", node("patched"))
        path = "/api/v1/nodes/patched"
        conditions = [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]
        admin.ask("PATCH", f"{path}/status", {"status": {"conditions": conditions}}, kind=STRATEGIC)
        change = {"$setElementOrder/conditions": [], "conditions": [{"type": "Ready", "status": "Unknown"}]}
        found = admin.ask("PATCH", f"{path}/status", {"status": change}, kind=STRATEGIC).body["status"]
        assert found == {"conditions": [{"type": "Ready", "status": "Unknown"}, conditions[1]]}
        gone = {"conditions": [{"type": "DiskPressure", "$patch": "delete"}]}
        found = admin.ask("PATCH", f"{path}/status", {"status": gone}, kind=STRATEGIC).body["status"]
        assert found == {"conditions": [{"type": "Ready", "status": "Unknown"}]}

    def test_strategic_patches_replace_other_lists(self, admin: Client) -> None:
        taint = {"key": "a", "effect": "NoSchedule"}
        admin.post("/api/v1/nodes", node("tainted", taints=[taint, {"key": "b", "effect": "NoExecute"}]))
        patch = {"spec": {"taints": [taint]}}
        changed = admin.ask("PATCH", "/api/v1/nodes/tainted", patch, kind=STRATEGIC).body
        assert changed["spec"] == {"taints": [taint]}

    def test_custom_resources_take_no_strategic_patch(self, admin: Client) -> None:
        operator = {"apiVersion": "config.openshift.io/v1", "kind": "ClusterOperator", "metadata": {"name": "custom"}}
        admin.post(OPERATORS, operator)
        assert admin.ask("PATCH", f"{OPERATORS}/custom", {"spec": {}}, kind=STRATEGIC).status == 415
        assert (
            admin.ask("PATCH", f"{OPERATORS}/custom", {"spec": {}}, kind="application/apply-patch+yaml").status == 415
        )

    def test_json_patches_apply_all_steps_or_none(self, admin: Client, maps: str) -> None:
        admin.post(maps, config_map("a", x="1", y="2"))
        steps = [
            {"op": "test", "path": "/data/x", "value": "1"},
            {"op": "move", "from": "/data/x", "path": "/data/z"},
            {"op": "replace", "path": "/data/y", "value": "3"},
            {"op": "add", "path": "/metadata/finalizers", "value": ["a/b"]},
            {"op": "add", "path": "/metadata/finalizers/-", "value": "c/d"},
            {"op": "add", "path": "/metadata/annotations", "value": {}},
            {"op": "add", "path": "/metadata/annotations/e~1f", "value": "g"},
            {"op": "remove", "path": "/metadata/finalizers/0"},
        ]
        changed = admin.ask("PATCH", f"{maps}/a", steps, kind=JSON_PATCH).body
        assert changed["data"] == {"y": "3", "z": "1"}
        assert changed["metadata"]["finalizers"] == ["c/d"]
        assert changed["metadata"]["annotations"] == {"e/f": "g"}
        refused = [{"op": "remove", "path": "/data/y"}, {"op": "test", "path": "/data/z", "value": "other"}]
        assert admin.ask("PATCH", f"{maps}/a", refused, kind=JSON_PATCH).status == 422
        assert admin.get(f"{maps}/a").body["data"] == {"y": "3", "z": "1"}


class TestWatching:
    def test_a_watch_tells_what_is_there_and_what_happens(self, admin: Client, maps: str) -> None:
        admin.post(maps, config_map("a", x="1"))
        watching = admin.watch(maps)
        events = [next(watching)]
        admin.ask("PATCH", f"{maps}/a", {"data": {"x": "2"}}, kind=MERGE)
        admin.ask("DELETE", f"{maps}/a")
        events += [next(watching), next(watching)]
        assert [(event["type"], event["object"]["data"]["x"]) for event in events] == [
            ("ADDED", "1"),
            ("MODIFIED", "2"),
            ("DELETED", "2"),
        ]

    def test_a_watch_goes_on_where_a_list_ended(self, admin: Client, maps: str) -> None:
        admin.post(maps, config_map("a"))
        listed = admin.get(maps).body["metadata"]["resourceVersion"]
        admin.post(maps, config_map("b"))
        events = admin.watch(f"{maps}?resourceVersion={listed}", 1)
        assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [("ADDED", "b")]

    def test_what_comes_to_be_selected_is_added_and_what_ceases_is_deleted(self, admin: Client, maps: str) -> None:
        listed = admin.post(maps, config_map("a")).body["metadata"]["resourceVersion"]
        for value in ("yes", "no"):
            admin.ask("PATCH", f"{maps}/a", {"metadata": {"labels": {"on": value}}}, kind=MERGE)
        events = admin.watch(f"{maps}?resourceVersion={listed}&labelSelector=on%3Dyes", 1)
        assert [event["type"] for event in events] == ["ADDED", "DELETED"]

    def test_a_watch_for_events_that_are_forgotten_is_expired(self, admin: Client, maps: str) -> None:
        first = admin.post(maps, config_map("a")).body["metadata"]["resourceVersion"]
        for number in range(1100):
            admin.ask("PATCH", f"{maps}/a", {"data": {"x": str(number)}}, kind=MERGE)
        answer = admin.get(f"{maps}?watch=true&resourceVersion={first}")
        assert (answer.status, answer.reason) == (410, "Expired")

    def test_a_revision_that_is_yet_to_come_is_too_large(self, admin: Client, maps: str) -> None:
        for query in ("?resourceVersion=99999999", "?watch=true&resourceVersion=99999999"):
            answer = admin.get(maps + query)
            assert (answer.status, answer.reason) == (504, "Timeout")
            assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"

    def test_initial_events_are_refused_so_that_clients_list(self, admin: Client, maps: str) -> None:
        answer = admin.get(f"{maps}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan")
        assert (answer.status, answer.reason) == (422, "Invalid")


class TestTypes:
    def test_an_object_of_an_unknown_type_brings_it_along(self, admin: Client) -> None:
        path = "/apis/widgets.example/v1/namespaces/default/widgets"
        assert admin.get(path).status == 404
        body = {"apiVersion": "widgets.example/v1", "kind": "Widget", "metadata": {"name": "a"}, "size": 3}
        assert admin.post(path, body).status == 201
        assert admin.get(f"{path}/a").body["size"] == 3
        (listed,) = (
            each for each in admin.get("/apis/widgets.example/v1").body["resources"] if each["name"] == "widgets"
        )
        assert (listed["kind"], listed["namespaced"]) == ("Widget", True)

    def test_a_definition_brings_its_type_along(self, admin: Client) -> None:
        names = {"plural": "gadgets", "kind": "Gadget", "singular": "gadget", "shortNames": ["gd"]}
        spec = {
            "group": "gadgets.example",
            "names": names,
            "scope": "Cluster",
            "versions": [{"name": "v1", "served": True}, {"name": "v0", "served": False}],
        }
        definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec}
        definition["metadata"] = {"name": "gadgets.gadgets.example"}
        admin.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        body = {"apiVersion": "gadgets.example/v1", "kind": "Gadget", "metadata": {"name": "a"}}
        assert admin.post("/apis/gadgets.example/v1/gadgets", body).status == 201
        assert admin.get("/apis/gadgets.example/v0/gadgets").status == 404

    def test_tables_have_the_real_servers_columns(self, admin: Client) -> None:
        expected = {
            "/api/v1/nodes": ["Name", "Status", "Roles", "Age", "Version"],
            CSRS: ["Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"],
            OPERATORS: ["Name", "Version", "Available", "Progressing", "Degraded", "Since", "Message"],
            "/apis/config.openshift.io/v1/clusterversions": [
                "Name",
                "Version",
                "Available",
                "Progressing",
                "Since",
                "Status",
            ],
            "/apis/route.openshift.io/v1/routes": ["Name", "Age"],
        }
        for path, columns in expected.items():
            table = admin.ask("GET", path, accept=TABLE).body
            shown = [each["name"] for each in table["columnDefinitions"] if each["priority"] == 0]
            assert (table["kind"], shown) == ("Table", columns)


class TestEviction:
    def pod(self, admin: Client, namespace: str, allowed: int) -> str:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "x"}}, "spec": {}}
        admin.post(f"/api/v1/namespaces/{namespace}/pods", pod)
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}}
        budget |= {"spec": {"selector": {"matchLabels": {"app": "x"}}}, "status": {"disruptionsAllowed": allowed}}
        admin.post(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets", budget)
        return f"/api/v1/namespaces/{namespace}/pods/p"

    def test_an_evicted_pod_is_gone(self, admin: Client, namespace: str) -> None:
        path = self.pod(admin, namespace, 1)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
        assert admin.post(f"{path}/eviction", eviction).status == 201
        assert admin.get(path).status == 404

    def test_a_budget_without_disruptions_keeps_the_pod(self, admin: Client, namespace: str) -> None:
        path = self.pod(admin, namespace, 0)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
        answer = admin.post(f"{path}/eviction", eviction)
        assert (answer.status, answer.reason) == (429, "TooManyRequests")
        assert answer.message == "Cannot evict pod as it would violate the pod's disruption budget."
        assert admin.get(path).status == 200
