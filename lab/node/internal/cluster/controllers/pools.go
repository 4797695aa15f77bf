package controllers

import (
	"context"

	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

// poolOf returns the MachineConfigPool of a node: its own before the workers'. One that two would take belongs to none.
func (s *snapshot) poolOf(node rest.Object) string {
	if labelled(node, LabelMaster) {
		return "master"
	}
	own := ""
	for _, pool := range s.pools {
		name := rest.Name(pool)
		if name == "master" || name == "worker" || !selects(rest.Map(pool, "spec", "nodeSelector", "matchLabels"), node) {
			continue
		}
		if own != "" {
			return ""
		}
		own = name
	}
	if own == "" && labelled(node, LabelWorker) {
		return "worker"
	}
	return own
}

// selects tells whether a node has every one of these labels; none at all select nothing.
func selects(labels, node rest.Object) bool {
	have := rest.Map(node, "metadata", "labels")
	for name, value := range labels {
		if found, there := have[name]; !there || found != value {
			return false
		}
	}
	return len(labels) > 0
}

// countPools says of each MachineConfigPool how many machines it has.
func (m *Manager) countPools(ctx context.Context, now *snapshot) error {
	all, ready := map[string]int{}, map[string]int{}
	for _, node := range now.nodes {
		name := now.poolOf(node)
		all[name]++
		if Ready(node) {
			ready[name]++
		}
	}
	for _, pool := range now.pools {
		name := rest.Name(pool)
		before := rest.Copy(rest.Map(pool, "status"))
		for field, number := range map[string]int{
			"machineCount": all[name], "updatedMachineCount": all[name], "readyMachineCount": ready[name],
			"unavailableMachineCount": all[name] - ready[name], "degradedMachineCount": 0,
		} {
			rest.Set(pool, number, "status", field)
		}
		rest.SetCondition(pool, "Updated", "True", "AsExpected", "")
		if rest.Same(before, pool["status"]) {
			continue
		}
		if _, err := m.API.Update(ctx, rest.Pools+"/"+name+"/status", pool); err != nil {
			return err
		}
		log.Say("machine-config-controller", "pool %s has %d machines", name, all[name])
	}
	return nil
}
