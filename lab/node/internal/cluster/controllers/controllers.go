// Package controllers is what runs on the leader of the control plane: it looks at the cluster every two seconds and
// does what is due.
//
// Owns: signing approved requests, the nodes' health and roles, the store's members, the ingress, the operators'
// conditions and the cluster's version. Does not own: approving anything, which nothing in the cluster does.
package controllers

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"sigs.k8s.io/yaml"

	"okd-libvirt/lab/node/internal/cluster/credentials"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	every = 2 * time.Second
	// Unlike a kubelet's 40 s of grace, a round has no reason to take long: the API is on the same machine.
	roundLimit = 30 * time.Second
)

// Store is what the controllers need of the store.
type Store interface {
	IsLeader() bool
	AddMember(ctx context.Context, id, address string) error
	RemoveMember(ctx context.Context, id string) error
	MemberIDs() []string
}

// Manager runs the controllers.
type Manager struct {
	API         *rest.Client
	Store       Store
	Credentials *credentials.Credentials
	// Removal is how long the bootstrap's member stays after it could go.
	Removal time.Duration

	// removable is since when the bootstrap's member could go.
	removable time.Time
	probes    *probes
	seen      map[string]heartbeat
	said      map[string]string
	// published is when the ingress' certificate and the route were last put right.
	published time.Time
}

// snapshot is the cluster as one round sees it.
type snapshot struct {
	nodes     []rest.Object
	leases    map[string]rest.Object
	scheduler rest.Object
	operators map[string]rest.Object
	version   rest.Object
	pods      []rest.Object
	pools     []rest.Object
	// controller is the default IngressController.
	controller rest.Object
	replicas   int
	complete   bool
	members    []string
	probed     map[string]probe
}

// Run works while this machine leads, until the context ends.
func (m *Manager) Run(ctx context.Context) {
	m.probes = newProbes(m.Credentials)
	m.seen, m.said = map[string]heartbeat{}, map[string]string{}
	leads := false
	for ctx.Err() == nil {
		if m.Store.IsLeader() {
			if !leads {
				log.Say("kube-controller-manager", "this machine leads")
			}
			m.round(ctx)
		} else {
			m.probes.stop()
			clear(m.seen)
		}
		leads = m.Store.IsLeader()
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
	m.probes.stop()
}

func (m *Manager) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	now, err := m.look(ctx)
	m.tell("kube-controller-manager", "look", err)
	if err != nil {
		return
	}
	for _, one := range []struct {
		unit, name string
		work       func(context.Context, *snapshot) error
	}{
		{"kube-controller-manager", "certificates", m.sign},
		{"kube-controller-manager", "nodes", m.judge},
		{"machine-config-controller", "roles", m.roles},
		{"machine-config-controller", "pools", m.countPools},
		{"cluster-etcd-operator", "members", m.members},
		{"cluster-etcd-operator", "guard", m.guard},
		{"ingress-operator", "ingress", m.ingress},
		{"cluster-version-operator", "operators", m.report},
		{"cluster-version-operator", "version", m.progress},
	} {
		// A conflict means that somebody else wrote meanwhile: the next round sees it.
		if err := one.work(ctx, now); !rest.Refused(err, http.StatusConflict) {
			m.tell(one.unit, one.name, err)
		}
	}
}

// tell says what went wrong, once until it changes.
func (m *Manager) tell(unit, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != m.said[what] {
		log.Say(unit, "%s: %s", what, text)
	}
	m.said[what] = text
}

func (m *Manager) look(ctx context.Context) (*snapshot, error) {
	now := &snapshot{leases: map[string]rest.Object{}, operators: map[string]rest.Object{}, members: m.Store.MemberIDs()}
	var problems []error
	list := func(path string, query ...string) []rest.Object {
		found, err := m.API.List(ctx, path, query...)
		problems = append(problems, err)
		return found
	}
	get := func(path string) rest.Object {
		found, err := m.API.Get(ctx, path)
		if rest.Refused(err, http.StatusNotFound) {
			return rest.Object{}
		}
		problems = append(problems, err)
		return found
	}
	now.nodes = list(rest.Nodes)
	for _, lease := range list(rest.Leases) {
		now.leases[rest.Name(lease)] = lease
	}
	for _, operator := range list(rest.Operators) {
		now.operators[rest.Name(operator)] = operator
	}
	now.pods = list(routerPods)
	now.pools = list(rest.Pools)
	now.controller = get(defaultRoute)
	now.scheduler = get(rest.Scheduler)
	now.version = get(rest.Versions + "/version")
	config := get(rest.Namespaces + "/kube-system/configmaps/cluster-config-v1")
	now.complete = rest.Text(get(rest.Namespaces+"/kube-system/configmaps/bootstrap"), "data", "status") == "complete"
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	now.replicas = Replicas(config)
	now.probed = m.probes.look(ctx, now)
	return now, nil
}

// Replicas returns how many control-plane machines the install-config asks for.
func Replicas(config rest.Object) int {
	var install rest.Object
	if yaml.Unmarshal([]byte(rest.Text(config, "data", "install-config")), &install) != nil {
		return 0
	}
	found, _ := rest.Map(install, "controlPlane")["replicas"].(float64)
	return int(found)
}

// controlPlane returns the nodes that belong to it.
func (s *snapshot) controlPlane() []rest.Object {
	var found []rest.Object
	for _, node := range s.nodes {
		if ControlPlane(node) {
			found = append(found, node)
		}
	}
	return found
}

// count words "n of m".
func count(n, of int) string { return strconv.Itoa(n) + " of " + strconv.Itoa(of) }
