"""Who may ask the miniature API for what, and what becomes of requests for certificates."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.node.authority import NODES, Authority
from tests.node.members import BOOTSTRAPPER, Client, Cluster
from tests.node.objects import CSRS, LEASES, MERGE, csr, node


class TestWhoMayAsk:
    @pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz", "/readyz?verbose", "/version"])
    def test_health_and_version_need_no_credentials(self, cluster: Cluster, path: str) -> None:
        assert cluster.as_(pair=None).get(path).status == 200

    def test_everything_else_needs_a_certificate(self, cluster: Cluster) -> None:
        for path in ("/api", "/apis", "/api/v1/nodes", "/openapi/v3", "/nothing"):
            answer = cluster.as_(pair=None).get(path)
            assert (answer.status, answer.reason) == (401, "Unauthorized")

    def test_a_certificate_of_another_authority_is_nobodys(self, cluster: Cluster, tmp_path: Path) -> None:
        foreign = Authority(tmp_path).sign("system:admin", ["system:masters"])
        assert cluster.as_(pair=foreign).get("/api/v1/nodes").status == 401

    def test_a_certificate_that_has_expired_is_nobodys(self, cluster: Cluster) -> None:
        assert cluster.as_(days=-1).get("/api/v1/nodes").status == 401

    def test_a_server_certificate_is_no_credential(self, cluster: Cluster, authority: Authority) -> None:
        pair = authority.sign("system:admin", ["system:masters"], usages=[ExtendedKeyUsageOID.SERVER_AUTH])
        assert cluster.as_(pair=pair).get("/api/v1/nodes").status == 401

    def test_a_user_without_a_role_is_told_what_it_may_not(self, cluster: Cluster) -> None:
        answer = cluster.as_("somebody").get("/api/v1/nodes/x")
        assert (answer.status, answer.reason) == (403, "Forbidden")
        assert answer.message == (
            'nodes "x" is forbidden: User "somebody" cannot get resource "nodes" in API group "" at the cluster scope'
        )

    def test_the_bootstrapper_files_requests_and_does_nothing_else(self, cluster: Cluster) -> None:
        client = cluster.as_(BOOTSTRAPPER, "system:serviceaccounts")
        assert client.post(CSRS, csr("bootstrappers")).status == 201
        assert client.get(f"{CSRS}/bootstrappers").status == 200
        for method, path in (
            ("GET", "/api/v1/nodes"),
            ("GET", "/api/v1/namespaces/openshift-miniature/secrets/control-plane"),
            ("PUT", f"{CSRS}/bootstrappers/approval"),
            ("PATCH", f"{CSRS}/bootstrappers/status"),
            ("DELETE", f"{CSRS}/bootstrappers"),
            ("POST", "/api/v1/nodes"),
        ):
            assert client.ask(method, path, csr("bootstrappers")).status == 403, (method, path)

    def test_a_node_writes_its_own_node_and_lease_and_no_others(self, cluster: Cluster) -> None:
        client = cluster.node("own")
        assert client.post("/api/v1/nodes", node("own")).status == 201
        assert client.post("/api/v1/nodes", node("other")).status == 403
        assert client.ask("PATCH", "/api/v1/nodes/own/status", {"status": {"x": "y"}}, kind=MERGE).status == 200
        cluster.as_().post("/api/v1/nodes", node("third"))
        assert client.ask("PATCH", "/api/v1/nodes/third/status", {"status": {}}, kind=MERGE).status == 403
        assert client.ask("DELETE", "/api/v1/nodes/own").status == 403
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "own"}}
        assert client.post(LEASES, lease).status == 201
        assert client.ask("PATCH", f"{LEASES}/other", {}, kind=MERGE).status == 403
        assert client.get("/api/v1/nodes").status == 200

    def test_a_node_does_not_make_itself_a_control_plane_node(self, cluster: Cluster) -> None:
        client = cluster.node("climber")
        assert client.post("/api/v1/nodes", node("climber")).status == 201
        labels = {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}
        assert client.ask("PATCH", "/api/v1/nodes/climber", labels, kind=MERGE).status == 403
        assert cluster.as_().ask("PATCH", "/api/v1/nodes/climber", labels, kind=MERGE).status == 200

    def test_only_a_control_plane_node_reads_the_control_planes_secret(self, cluster: Cluster, admin: Client) -> None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "control-plane"}, "stringData": {"a": "b"}}
        home = "/api/v1/namespaces/openshift-miniature/secrets"
        assert admin.post(home, secret).status == 201
        admin.post("/api/v1/namespaces/kube-system/secrets", secret)
        for name, role, expected in (("m-0", "master", 200), ("cp-0", "control-plane", 200), ("w-0", "worker", 403)):
            admin.post("/api/v1/nodes", node(name, role))
            assert cluster.node(name).get(f"{home}/control-plane").status == expected
            assert cluster.node(name).get(home).status == 403
            assert cluster.node(name).get("/api/v1/namespaces/kube-system/secrets/control-plane").status == 403
        assert cluster.node("unknown").get(f"{home}/control-plane").status == 403

    def test_any_node_reads_the_routers_certificate_and_no_other_secret_beside_it(
        self, cluster: Cluster, admin: Client
    ) -> None:
        home = "/api/v1/namespaces/openshift-ingress/secrets"
        for name in ("router-certs-default", "other"):
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"a": "b"}}
            assert admin.post(home, secret).status == 201
        admin.post("/api/v1/nodes", node("r-0", "worker"))
        assert cluster.node("r-0").get(f"{home}/router-certs-default").status == 200
        assert cluster.node("r-0").get(f"{home}/other").status == 403
        assert cluster.node("r-0").get(home).status == 403

    def test_a_node_files_requests_and_approves_none(self, cluster: Cluster) -> None:
        client = cluster.node("asker")
        assert client.post(CSRS, csr("askers", "system:node:asker")).status == 201
        assert client.ask("PUT", f"{CSRS}/askers/approval", csr("askers")).status == 403

    def test_being_called_a_node_without_its_group_gives_nothing(self, cluster: Cluster) -> None:
        assert cluster.as_("system:node:own", "somebody").get("/api/v1/nodes").status == 403


class TestSigningRequests:
    def test_the_requester_is_who_holds_the_certificate_and_not_who_is_named(self, cluster: Cluster) -> None:
        client = cluster.node("honest")
        claimed = csr("claims", username="system:admin", groups=["system:masters"], extra={"a": ["b"]}, uid="1")
        made = client.post(CSRS, claimed | {"status": {"conditions": [{"type": "Approved", "status": "True"}]}}).body
        assert made["spec"]["username"] == "system:node:honest"
        assert made["spec"]["groups"] == [NODES, "system:authenticated"]
        assert not {"extra", "uid"} & set(made["spec"])
        assert made["status"] == {}

    def test_only_approval_approves(self, admin: Client) -> None:
        made = admin.post(CSRS, csr("steps")).body
        approved = made | {"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "Test"}]}}
        for path in (f"{CSRS}/steps", f"{CSRS}/steps/status"):
            changed = admin.ask("PUT", path, approved | {"metadata": {"name": "steps"}})
            assert changed.status == 200
            assert not changed.body["status"].get("conditions")
        conditions = admin.ask("PUT", f"{CSRS}/steps/approval", approved | {"metadata": {"name": "steps"}}).body[
            "status"
        ]["conditions"]
        assert conditions[0]["type"] == "Approved"
        assert conditions[0]["lastUpdateTime"]

    def test_a_signer_adds_the_certificate_and_the_approval_stays(self, admin: Client) -> None:
        made = admin.post(CSRS, csr("signed")).body
        body = made | {"status": {"conditions": [{"type": "Approved", "status": "True"}]}}
        admin.ask("PUT", f"{CSRS}/signed/approval", body)
        certificate = {"status": {"certificate": "Y2VydA=="}}
        signed = admin.ask("PATCH", f"{CSRS}/signed/status", certificate, kind=MERGE).body
        assert signed["status"]["certificate"] == "Y2VydA=="
        assert [each["type"] for each in signed["status"]["conditions"]] == ["Approved"]

    def test_what_is_asked_for_never_changes(self, admin: Client) -> None:
        before = admin.post(CSRS, csr("fixed")).body
        after = admin.ask("PATCH", f"{CSRS}/fixed", {"spec": {"username": "system:admin"}}, kind=MERGE).body
        assert after["spec"] == before["spec"]

    @pytest.mark.parametrize(
        ("spec", "why"),
        [
            ({"request": "bm90aGluZw=="}, "spec.request"),
            ({"request": "not base64"}, "spec.request"),
            ({"signerName": ""}, "spec.signerName"),
            ({"usages": []}, "spec.usages"),
        ],
    )
    def test_a_request_that_cannot_be_signed_is_refused(self, admin: Client, spec: dict, why: str) -> None:
        answer = admin.post(CSRS, csr("bad", **spec))
        assert (answer.status, answer.reason) == (422, "Invalid")
        assert why in answer.message
