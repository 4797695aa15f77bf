// Package cluster is a machine's part in the control plane: the bootstrap's until the others have taken over, and
// theirs.
//
// Owns: in which order the store, the API, machine config and the controllers start and stop. Does not own what each of
// them does.
package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"okd-libvirt/lab/node/internal/api"
	"okd-libvirt/lab/node/internal/cluster/controllers"
	"okd-libvirt/lab/node/internal/cluster/credentials"
	"okd-libvirt/lab/node/internal/cluster/pki"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/machineconfig"
	"okd-libvirt/lab/node/internal/shell/log"
	"okd-libvirt/lab/node/internal/store"
)

// Config says which machine this is.
type Config struct {
	// Root is the machine's file tree, Data what outlives a reboot.
	Root, Data string
	Hostname   string
	Address    string
	// APIInt is dialled instead of api-int's port 6443, if not empty.
	APIInt string
	// Late is how late things are that are late in real clusters.
	Late Lateness
}

// Where a machine of the control plane serves.
const (
	apiPort           = 6443
	machineConfigPort = 22623
	memberPort        = 2380
)

func (c Config) at(port int) string { return fmt.Sprintf("%s:%d", c.Address, port) }

// served is what runs on a machine of the control plane.
type served struct {
	config      Config
	credentials *credentials.Credentials
	store       *store.Store
	api         *rest.Client
	machine     context.CancelFunc
	stopAPI     context.CancelFunc
	stopLeading context.CancelFunc
	ended       chan error
}

// open starts this machine's member of the store.
func open(config Config, with *credentials.Credentials, bootstrap bool) (*served, error) {
	member, err := with.Member(config.Hostname, config.Address)
	if err != nil {
		return nil, err
	}
	name := config.Hostname
	if bootstrap {
		name = controllers.BootstrapMember
	}
	opened, err := store.Open(store.Options{
		Dir: filepath.Join(config.Data, "etcd"), ID: name, Address: config.at(memberPort),
		TLS: member, Bootstrap: bootstrap,
		Log: func(format string, values ...any) { log.Say("etcd", format, values...) },
	})
	if err != nil {
		return nil, err
	}
	asking, err := with.Client(config.at(apiPort))
	if err != nil {
		return nil, err
	}
	return &served{config: config, credentials: with, store: opened, api: asking, ended: make(chan error, 2)}, nil
}

// serveAPI serves the API with the certificates by name, and waits until it answers.
func (s *served) serveAPI(ctx context.Context, by map[string]pki.Pair) error {
	certificates, err := s.credentials.Certificates(by)
	if err != nil {
		return err
	}
	server, err := api.New(api.Options{
		Store: s.store, Address: s.config.at(apiPort), Certificates: certificates,
		ClientCAs: pki.Pool(s.credentials.ClientCAs), Version: "v1.32.0+miniature",
		Log: func(format string, values ...any) { log.Say("kube-apiserver", format, values...) },
	})
	if err != nil {
		return err
	}
	ctx, s.stopAPI = context.WithCancel(ctx)
	go func() { s.ended <- server.Run(ctx) }()
	for {
		if err = s.api.Text(ctx, "/readyz"); err == nil {
			return nil
		}
		select {
		case failed := <-s.ended:
			return fmt.Errorf("the API: %w", failed)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// serveMachineConfig serves machine config in the background.
func (s *served) serveMachineConfig(ctx context.Context, bootstrap bool) {
	ctx, s.machine = context.WithCancel(ctx)
	server := &machineconfig.Server{
		Source:  &machineconfig.Source{API: s.api, Credentials: s.credentials},
		Address: s.config.at(machineConfigPort), Pair: s.credentials.MachineConfig, Bootstrap: bootstrap,
	}
	go func() { s.ended <- server.Run(ctx) }()
}

// lead runs the controllers in the background, for when this member leads.
func (s *served) lead(ctx context.Context) {
	ctx, s.stopLeading = context.WithCancel(ctx)
	manager := &controllers.Manager{
		API: s.api, Store: members{s.store}, Credentials: s.credentials, Removal: s.config.Late.Member.random(),
	}
	go manager.Run(ctx)
}

// members is the store as the controllers see it.
type members struct{ *store.Store }

func (m members) MemberIDs() []string {
	var found []string
	for _, member := range m.Members() {
		found = append(found, member.ID)
	}
	return found
}

func pause(ctx context.Context, long time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(long):
	}
}
