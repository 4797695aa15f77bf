// Package kubelet is what makes a machine a node: it files its certificate requests, registers, and says every ten
// seconds that it is alive.
//
// Owns: the node's certificates, its Node and Lease, and whether a router runs here. Does not own: approving requests
// (nobody in the cluster does), nor what a router serves.
package kubelet

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	heartbeat = 10 * time.Second
	retry     = 2 * time.Second
	goodbye   = 2 * time.Second
	// Version is what the node reports.
	Version = "v1.32.0+miniature"
)

// Config says which node this is.
type Config struct {
	// Root is the machine's file tree, Data what outlives a reboot.
	Root, Data string
	Hostname   string
	Address    string
	UUID       string
	// ControlPlane is what the machine config made of it.
	ControlPlane bool
	// APIInt is dialled instead of the kubeconfig's server, if not empty.
	APIInt string
	// Router is told whether a router shall run here, and with what certificate.
	Router func(run bool, certificate *tls.Certificate)
}

// Kubelet is one node's.
type Kubelet struct {
	config      Config
	options     rest.Options
	certificate atomic.Pointer[tls.Certificate]
	serving     atomic.Pointer[tls.Certificate]
	leaving     atomic.Bool
	api         *rest.Client
	routerPair  *tls.Certificate

	routerProblem string
}

// Start waits for the client certificate; the node is registered by Run.
func Start(ctx context.Context, config Config) (*Kubelet, error) {
	options, err := rest.Kubeconfig(filepath.Join(config.Root, "etc/kubernetes/kubeconfig"))
	if err != nil {
		return nil, err
	}
	options.Dial = config.APIInt
	k := &Kubelet{config: config, options: options}
	first := rest.New(options)
	if err := k.clientCertificate(ctx, first); err != nil {
		return nil, err
	}
	options.Certificate = func() (*tls.Certificate, error) { return k.certificate.Load(), nil }
	k.api = rest.New(options)
	return k, nil
}

// API asks the API as this node.
func (k *Kubelet) API() *rest.Client { return k.api }

// Run keeps the node alive until the context ends.
func (k *Kubelet) Run(ctx context.Context) {
	k.retry(ctx, "registering the node", k.register)
	log.Say("kubelet", "node %s is registered", k.config.Hostname)
	go k.pods(ctx)
	go k.listen(ctx)
	go k.servingCertificate(ctx)
	said := ""
	for ctx.Err() == nil {
		err := k.beat(ctx)
		if text := message(err); text != said {
			log.Say("kubelet", "heartbeat: %s", orWell(text))
			said = text
		}
		pause := heartbeat
		if err != nil {
			// A connection to an API that died is not asked again.
			k.api.Forget()
			pause = retry
		}
		if expired(k.certificate.Load()) {
			log.Say("kubelet", "the client certificate has expired")
			k.retry(ctx, "client certificate", func(ctx context.Context) error {
				return k.clientCertificate(ctx, rest.New(k.options))
			})
		}
		sleep(ctx, pause)
	}
	k.farewell()
}

// farewell says that the machine goes, if the API listens: nobody has to wait until its silence is noticed.
func (k *Kubelet) farewell() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	k.leaving.Store(true)
	if err := k.status(ctx); err != nil {
		log.Say("kubelet", "saying that this machine goes: %v", err)
	}
}

// retry repeats work until it succeeds; each new problem is said once.
func (k *Kubelet) retry(ctx context.Context, what string, work func(context.Context) error) {
	said := ""
	for ctx.Err() == nil {
		err := work(ctx)
		if err == nil {
			return
		}
		if err.Error() != said {
			log.Say("kubelet", "%s: %v", what, err)
			said = err.Error()
		}
		sleep(ctx, retry)
	}
}

// beat renews the lease, and puts the node's status right where it is not what it should be.
func (k *Kubelet) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	if err := k.renew(ctx); err != nil {
		return err
	}
	return k.status(ctx)
}

func (k *Kubelet) renew(ctx context.Context) error {
	name := k.config.Hostname
	spec := rest.Object{
		"holderIdentity": name, "leaseDurationSeconds": 40,
		"renewTime": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"),
	}
	_, err := k.api.Merge(ctx, rest.Leases+"/"+name, rest.Object{"spec": spec})
	if rest.Refused(err, http.StatusNotFound) {
		_, err = k.api.Create(ctx, rest.Leases, rest.Object{
			"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
			"metadata": rest.Object{"name": name}, "spec": spec,
		})
	}
	return err
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func orWell(text string) string {
	if text == "" {
		return "the API answers"
	}
	return text
}

func sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

func readText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}
