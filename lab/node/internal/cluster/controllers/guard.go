package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"okd-libvirt/lab/node/internal/cluster/rest"
)

const (
	budgets     = "/apis/policy/v1/namespaces/openshift-etcd/poddisruptionbudgets"
	guardBudget = "etcd-guard-pdb"
)

// unwell returns the members of the store that do not serve. The bootstrap is one that is no node.
func (s *snapshot) unwell() (found []string) {
	for _, node := range s.controlPlane() {
		name := rest.Name(node)
		if slices.Contains(s.members, name) && !(Ready(node) && s.probed[name].api) {
			found = append(found, name)
		}
	}
	return found
}

// membersAvailable says whether the store has its majority, and who is missed. It tells whether anything changed.
func membersAvailable(etcd rest.Object, now *snapshot) bool {
	all, unwell := len(now.members), now.unwell()
	said := fmt.Sprintf("%d members are available", all)
	degraded, because := "False", "AsExpected"
	if len(unwell) > 0 {
		said = fmt.Sprintf("%d of %d members are available, %s is unhealthy", all-len(unwell), all, strings.Join(unwell, ", "))
		degraded, because = "True", "UnhealthyMembers"
	}
	available, reason := "True", "EtcdQuorate"
	if all-len(unwell) <= all/2 {
		available, reason = "False", "No quorum"
	}
	changed := rest.SetCondition(etcd, "EtcdMembersAvailable", available, reason, said)
	return rest.SetCondition(etcd, "EtcdMembersDegraded", degraded, because, said) || changed
}

// guard keeps the disruption budget of the store's guards; a single machine has none.
func (m *Manager) guard(ctx context.Context, now *snapshot) error {
	if now.replicas < 2 {
		return nil
	}
	desired, healthy := now.replicas-1, 0
	unwell := now.unwell()
	for _, node := range now.controlPlane() {
		if name := rest.Name(node); slices.Contains(now.members, name) && !slices.Contains(unwell, name) {
			healthy++
		}
	}
	_, err := m.API.Ensure(ctx, budgets, rest.Object{
		"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": rest.Object{"name": guardBudget},
		"spec": rest.Object{
			"minAvailable": desired, "selector": rest.Object{"matchLabels": rest.Object{"app": "guard"}},
		},
	})
	if err != nil {
		return err
	}
	budget, err := m.API.Get(ctx, budgets+"/"+guardBudget)
	if err != nil {
		return err
	}
	status := rest.Object{
		"expectedPods": now.replicas, "currentHealthy": healthy, "desiredHealthy": desired,
		"disruptionsAllowed": max(0, healthy-desired),
		"observedGeneration": rest.Map(budget, "metadata")["generation"],
	}
	if rest.Same(rest.Map(budget, "status"), status) {
		return nil
	}
	budget["status"] = status
	_, err = m.API.Update(ctx, budgets+"/"+guardBudget+"/status", budget)
	return err
}
