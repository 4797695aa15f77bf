// Package machineconfig gives machines their ignition config at their first boot.
//
// Owns: what is in it (the pool's MachineConfigs, the kubeconfig of the first request, the role), and the server on port
// 22623. Does not own: applying it (package ignite). Nothing in it can sign anything.
package machineconfig

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"okd-libvirt/lab/node/internal/cluster/credentials"
	"okd-libvirt/lab/node/internal/cluster/rest"
)

const (
	// RoleFile tells a machine which role its config was for.
	RoleFile  = "/etc/miniature/role"
	version   = "3.2.0"
	roleLabel = "machineconfiguration.openshift.io/role"
)

// Source renders configs from what the API has.
type Source struct {
	API         *rest.Client
	Credentials *credentials.Credentials
}

// Render returns the ignition config of a pool: its MachineConfigs in the order of their names, later ones win.
func (s *Source) Render(ctx context.Context, pool string) (rest.Object, error) {
	roles, err := s.roles(ctx, pool)
	if err != nil {
		return nil, err
	}
	configs, err := s.API.List(ctx, rest.Configs)
	if err != nil {
		return nil, err
	}
	made := merged{version: version}
	for _, one := range s.base(pool) {
		made.file(one)
	}
	if err := s.trust(ctx, &made); err != nil {
		return nil, err
	}
	slices.SortFunc(configs, func(a, b rest.Object) int { return strings.Compare(rest.Name(a), rest.Name(b)) })
	for _, config := range configs {
		if slices.Contains(roles, rest.Text(config, "metadata", "labels", roleLabel)) {
			made.add(rest.Map(config, "spec", "config"))
		}
	}
	return made.config(), nil
}

// roles returns the roles whose MachineConfigs a pool takes.
func (s *Source) roles(ctx context.Context, pool string) ([]string, error) {
	if pool == "master" || pool == "worker" {
		return []string{pool}, nil
	}
	found, err := s.API.Get(ctx, rest.Pools+"/"+pool)
	if err != nil {
		return nil, err
	}
	var roles []string
	for _, row := range rest.Items(found, "spec", "machineConfigSelector", "matchExpressions") {
		values, _ := row["values"].([]any)
		for _, value := range values {
			if role, ok := value.(string); ok && rest.Text(row, "key") == roleLabel {
				roles = append(roles, role)
			}
		}
	}
	if role := rest.Text(found, "spec", "machineConfigSelector", "matchLabels", roleLabel); role != "" {
		roles = append(roles, role)
	}
	return roles, nil
}

// base is what every machine gets.
func (s *Source) base(pool string) []rest.Object {
	role := "worker"
	if pool == "master" {
		role = pool
	}
	return []rest.Object{
		entry("/etc/kubernetes/kubeconfig", 0o600, s.Credentials.Kubelet),
		entry("/etc/kubernetes/ca.crt", 0o644, s.Credentials.ServerCAs),
		entry(RoleFile, 0o644, []byte(role+"\n")),
	}
}

// trust adds the certificates that the install-config wants every node to trust.
func (s *Source) trust(ctx context.Context, made *merged) error {
	bundle, err := s.API.Get(ctx, rest.Namespaces+"/openshift-config/configmaps/user-ca-bundle")
	if rest.Refused(err, http.StatusNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	text := rest.Text(bundle, "data", "ca-bundle.crt")
	made.file(entry("/etc/pki/ca-trust/source/anchors/openshift-config-user-ca-bundle.crt", 0o644, []byte(text)))
	return nil
}

func entry(path string, mode int, text []byte) rest.Object {
	source := "data:text/plain;charset=utf-8;base64," + base64.StdEncoding.EncodeToString(text)
	return rest.Object{"path": path, "mode": mode, "overwrite": true, "contents": rest.Object{"source": source}}
}

// merged is an ignition config that grows; what has the same key takes the place of what was there.
type merged struct {
	version string
	files   []rest.Object
	units   []rest.Object
	users   []rest.Object
	others  []rest.Object
}

func (m *merged) file(one rest.Object) { m.files = replaced(m.files, one, "path") }

func (m *merged) add(config rest.Object) {
	// Versions of specification 3 sort as text, up to 3.9.
	m.version = max(m.version, rest.Text(config, "ignition", "version"))
	for _, one := range rest.Items(config, "storage", "files") {
		m.file(one)
	}
	for _, one := range rest.Items(config, "systemd", "units") {
		m.units = replaced(m.units, one, "name")
	}
	for _, one := range rest.Items(config, "passwd", "users") {
		for _, known := range m.users {
			if rest.Text(known, "name") == rest.Text(one, "name") {
				old, _ := known["sshAuthorizedKeys"].([]any)
				added, _ := one["sshAuthorizedKeys"].([]any)
				one["sshAuthorizedKeys"] = append(slices.Clone(old), added...)
			}
		}
		m.users = replaced(m.users, one, "name")
	}
	m.others = append(m.others, config)
}

func replaced(rows []rest.Object, one rest.Object, key string) []rest.Object {
	for i, row := range rows {
		if rest.Text(row, key) == rest.Text(one, key) {
			rows[i] = one
			return rows
		}
	}
	return append(rows, one)
}

func (m *merged) config() rest.Object {
	storage := rest.Object{"files": m.files}
	for _, name := range []string{"directories", "links"} {
		var rows []rest.Object
		for _, config := range m.others {
			for _, one := range rest.Items(config, "storage", name) {
				rows = replaced(rows, one, "path")
			}
		}
		if len(rows) > 0 {
			storage[name] = rows
		}
	}
	made := rest.Object{"ignition": rest.Object{"version": m.version}, "storage": storage}
	if len(m.units) > 0 {
		made["systemd"] = rest.Object{"units": m.units}
	}
	if len(m.users) > 0 {
		made["passwd"] = rest.Object{"users": m.users}
	}
	return made
}

// refused is what the bootstrap says to machines that must wait for the control plane.
func refused(pool string) error {
	return fmt.Errorf("refusing to serve bootstrap configuration to pool %s", pool)
}
