package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"okd-libvirt/lab/node/internal/cluster/controllers"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

// withdraw stops serving: the control plane does without this machine's API from now on. Its member of the store stays,
// and votes, until the control plane removes it.
func (b *bootstrap) withdraw() error {
	b.stopLeading()
	b.machine()
	b.stopAPI()
	err := errors.Join(<-b.ended, <-b.ended)
	log.Say(unit, "API and machine config are stopped")
	return err
}

// leave keeps the member of the store until the control plane has removed it. It leads nobody: whoever leads runs the
// controllers, which need an API beside them.
func (b *bootstrap) leave(ctx context.Context) error {
	for b.isMember(ctx) {
		b.store.HandOver()
		pause(ctx, time.Second)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	log.Say("etcd", "this member is removed, and stops")
	return b.remember(stage{Stage: stageComplete})
}

// isMember asks the control plane whether the bootstrap still belongs to the store.
func (b *bootstrap) isMember(ctx context.Context) bool {
	for _, address := range b.remembered().Others {
		api, err := b.credentials.Client(fmt.Sprintf("%s:%d", address, apiPort))
		if err != nil {
			return true
		}
		etcd, err := api.Get(ctx, rest.Etcd+"/cluster")
		if err == nil {
			return rest.Text(rest.Condition(etcd, controllers.BootstrapRemoved), "status") != "True"
		}
	}
	return true
}

// tell says, through the control plane, that the bootstrap is complete.
func (b *bootstrap) tell(ctx context.Context) error {
	complete := rest.Object{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": rest.Object{"name": "bootstrap"},
		"data": rest.Object{"status": "complete"},
	}
	for ; ctx.Err() == nil; pause(ctx, look) {
		b.store.HandOver()
		for _, address := range b.remembered().Others {
			api, err := b.credentials.Client(fmt.Sprintf("%s:%d", address, apiPort))
			if err != nil {
				return err
			}
			if _, err = api.Ensure(ctx, rest.Namespaces+"/kube-system/configmaps", complete); err != nil {
				log.Say(unit, "telling %s that the bootstrap is complete: %v", address, err)
				continue
			}
			if err := b.remember(stage{stageTold, b.remembered().Others}); err != nil {
				return err
			}
			log.Say(unit, "bootkube.service complete")
			return nil
		}
	}
	return ctx.Err()
}
