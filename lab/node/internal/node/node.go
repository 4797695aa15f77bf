// Package node runs a machine's part in the cluster: the bootstrap's, the control plane's, or a compute machine's.
//
// Owns: finding out which it is, from what the ignition config left. Does not own the parts.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"okd-libvirt/lab/node/internal/cluster"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/kubelet"
	"okd-libvirt/lab/node/internal/machineconfig"
	"okd-libvirt/lab/node/internal/router"
	"okd-libvirt/lab/node/internal/shell/log"
)

// Config says which machine this is.
type Config struct {
	// Root is the file tree that the ignition config was applied to; Data is kept over reboots, Root/var/lib if empty.
	Root, Data string
	// Address is where everything listens.
	Address  string
	Hostname string
	UUID     string
	// APIInt is dialled instead of api-int's port 6443, if not empty.
	APIInt string
	// Late is how late things are that are late in real clusters; see cluster.ReadLateness.
	Late string
}

// Run plays the machine's part until the context ends.
func Run(ctx context.Context, config Config) error {
	if config.Data == "" {
		config.Data = filepath.Join(config.Root, "var/lib")
	}
	late, err := cluster.ReadLateness(config.Late)
	if err != nil {
		return err
	}
	part := cluster.Config{
		Root: config.Root, Data: filepath.Join(config.Data, "miniature"),
		Hostname: config.Hostname, Address: config.Address, APIInt: config.APIInt, Late: late,
	}
	if cluster.IsBootstrap(config.Root) {
		return cluster.RunBootstrap(ctx, part)
	}
	role, err := os.ReadFile(filepath.Join(config.Root, machineconfig.RoleFile))
	if err != nil {
		return fmt.Errorf("neither a bootstrap nor a machine with a role: %w", err)
	}
	return run(ctx, config, part, strings.TrimSpace(string(role)) == "master")
}

// run is a node: a kubelet, and beside it the control plane's part where it has one.
func run(ctx context.Context, config Config, part cluster.Config, controlPlane bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var asking atomic.Pointer[rest.Client]
	ended := make(chan error, 2)
	parts := 1
	if controlPlane {
		parts++
		go func() { ended <- cluster.RunControlPlane(ctx, part, asking.Load) }()
	}
	serving := &router.Router{Address: config.Address, Hostname: config.Hostname}
	go func() {
		ended <- runKubelet(ctx, kubelet.Config{
			Root: config.Root, Data: part.Data, Hostname: config.Hostname, Address: config.Address, UUID: config.UUID,
			ControlPlane: controlPlane, APIInt: config.APIInt, Router: serving.Run,
		}, &asking)
	}()
	first := <-ended
	cancel()
	for ; parts > 1; parts-- {
		select {
		case err := <-ended:
			first = errors.Join(first, err)
		case <-time.After(10 * time.Second):
			log.Say("node", "a part does not end; leaving it")
		}
	}
	return first
}

func runKubelet(ctx context.Context, config kubelet.Config, asking *atomic.Pointer[rest.Client]) error {
	started, err := kubelet.Start(ctx, config)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	asking.Store(started.API())
	started.Run(ctx)
	return nil
}
