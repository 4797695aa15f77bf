package cluster

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"okd-libvirt/lab/node/internal/cluster/credentials"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	secretNamespace = rest.Namespaces + "/openshift-miniature"
	secretName      = "control-plane"
	secretField     = "credentials.json"
	// How long a member waits for the others before it says so again.
	patience = 30 * time.Second
)

// RunControlPlane serves store, API and machine config until the context ends. `asking` reads the credentials at the first
// start, as this machine's node; afterwards they are kept.
func RunControlPlane(ctx context.Context, config Config, asking func() *rest.Client) error {
	with, fresh, err := taken(ctx, config, asking)
	if err != nil {
		return stopped(ctx, err)
	}
	serving, err := open(config, with, false)
	if err != nil {
		return err
	}
	defer serving.store.Close()
	for {
		log.Say("etcd", "waiting for the other members")
		limited, cancel := context.WithTimeout(ctx, patience)
		err := serving.store.WaitReady(limited)
		cancel()
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return nil
		}
		log.Say("etcd", "not a member with a leader yet: %v", err)
	}
	log.Say("etcd", "member %s is current, the leader is %s", config.Hostname, serving.store.Leader())
	if fresh && serving.isThird() {
		serving.tarry(ctx)
	}
	if err := serving.serveAPI(ctx, with.API); err != nil {
		return stopped(ctx, err)
	}
	serving.serveMachineConfig(ctx, false)
	serving.lead(ctx)
	select {
	case err := <-serving.ended:
		return stopped(ctx, err)
	case <-ctx.Done():
		// The API closes its connections itself.
		return stopped(ctx, errors.Join(<-serving.ended, <-serving.ended))
	}
}

// stopped is no error once the machine is to stop.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// taken returns the control plane's credentials: those that are kept, or fresh ones that the cluster gives to this node.
func taken(ctx context.Context, config Config, asking func() *rest.Client) (*credentials.Credentials, bool, error) {
	if found, err := credentials.Kept(config.Data); err != nil || found != nil {
		return found, false, err
	}
	said := ""
	for ctx.Err() == nil {
		found, err := asked(ctx, asking())
		if err == nil {
			log.Say("kube-apiserver", "the control plane's certificates are here")
			return found, true, found.Keep(config.Data)
		}
		if err.Error() != said {
			log.Say("kube-apiserver", "waiting for the control plane's certificates: %v", err)
			said = err.Error()
		}
		pause(ctx, 2*time.Second)
	}
	return nil, false, ctx.Err()
}

func asked(ctx context.Context, api *rest.Client) (*credentials.Credentials, error) {
	if api == nil {
		return nil, errors.New("this machine has no client certificate yet")
	}
	secret, err := api.Get(ctx, secretNamespace+"/secrets/"+secretName)
	if err != nil {
		api.Forget()
		return nil, err
	}
	text, err := base64.StdEncoding.DecodeString(rest.Text(secret, "data", secretField))
	if err != nil {
		return nil, err
	}
	return credentials.Read(text)
}
