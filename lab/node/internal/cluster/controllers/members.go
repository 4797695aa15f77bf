package controllers

import (
	"context"
	"fmt"
	"slices"

	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

// BootstrapRemoved is the condition that the installer waits for.
const BootstrapRemoved = "EtcdBootstrapMemberRemoved"

// members takes control-plane machines into the store once they listen, and says when the bootstrap is no member.
func (m *Manager) members(ctx context.Context, now *snapshot) error {
	known := map[string]bool{}
	for _, node := range now.controlPlane() {
		name := rest.Name(node)
		known[name] = true
		if slices.Contains(now.members, name) || !now.probed[name].member {
			continue
		}
		if err := m.Store.AddMember(ctx, name, Address(node)+":2380"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		now.members = m.Store.MemberIDs()
		log.Say("cluster-etcd-operator", "%s is a member of the store, of %d", name, len(now.members))
	}
	removed := len(known) > 0 && !slices.ContainsFunc(now.members, func(id string) bool { return !known[id] })
	return m.etcd(ctx, removed, now)
}

func (m *Manager) etcd(ctx context.Context, removed bool, now *snapshot) error {
	etcd, err := m.API.Get(ctx, rest.Etcd+"/cluster")
	if rest.Refused(err, 404) {
		etcd, err = m.API.Create(ctx, rest.Etcd, rest.Object{
			"apiVersion": "operator.openshift.io/v1", "kind": "Etcd", "metadata": rest.Object{"name": "cluster"},
			"spec": rest.Object{"managementState": "Managed"},
		})
	}
	if err != nil {
		return err
	}
	status, reason, message := "False", "BootstrapIsMember", "the bootstrap is a member of the store"
	if removed {
		status, reason, message = "True", "BootstrapMemberRemoved", "only control-plane machines are members"
	}
	changed := rest.SetCondition(etcd, BootstrapRemoved, status, reason, message)
	changed = membersAvailable(etcd, now) || changed
	if !changed {
		return nil
	}
	_, err = m.API.Update(ctx, rest.Etcd+"/cluster/status", etcd)
	return err
}
