package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	// BootstrapRemoved is the condition that the installer waits for.
	BootstrapRemoved = "EtcdBootstrapMemberRemoved"
	// BootstrapMember is the name of the bootstrap's member of the store.
	BootstrapMember = "etcd-bootstrap"
)

// members takes control-plane machines into the store once they listen, lets the bootstrap's member go, and says so.
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
	if err := m.release(ctx, known, now); err != nil {
		return err
	}
	return m.etcd(ctx, !slices.Contains(now.members, BootstrapMember), now)
}

// release removes the bootstrap's member: only after the bootstrap said that it is complete, as the real operator does,
// and once every control-plane machine that there is to be has its vote; until then the bootstrap's counts.
func (m *Manager) release(ctx context.Context, known map[string]bool, now *snapshot) error {
	voters := 0
	for _, id := range now.members {
		if known[id] {
			voters++
		}
	}
	if !slices.Contains(now.members, BootstrapMember) || !now.complete || voters < now.replicas {
		m.removable = time.Time{}
		return nil
	}
	if m.removable.IsZero() {
		log.Say("cluster-etcd-operator", "the bootstrap's member can go, and goes in %s", m.Removal.Round(time.Second))
		m.removable = time.Now()
	}
	if time.Since(m.removable) < m.Removal {
		return nil
	}
	if err := m.Store.RemoveMember(ctx, BootstrapMember); err != nil {
		return fmt.Errorf("%s: %w", BootstrapMember, err)
	}
	now.members = m.Store.MemberIDs()
	log.Say("cluster-etcd-operator", "%s is removed: the store has %d members", BootstrapMember, len(now.members))
	return nil
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
	changed := false
	if removed { // The real operator never says that it is not.
		changed = rest.SetCondition(etcd, BootstrapRemoved, "True", "BootstrapMemberRemoved", "etcd bootstrap member is removed")
	}
	changed = membersAvailable(etcd, now) || changed
	if !changed {
		return nil
	}
	_, err = m.API.Update(ctx, rest.Etcd+"/cluster/status", etcd)
	return err
}
