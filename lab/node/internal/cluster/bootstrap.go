package cluster

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"okd-libvirt/lab/node/internal/cluster/controllers"
	"okd-libvirt/lab/node/internal/cluster/credentials"
	"okd-libvirt/lab/node/internal/cluster/release"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const unit = "bootkube"

var errLeft = errors.New("the bootstrap has left the store")

// IsBootstrap tells whether the machine's ignition config was the bootstrap's.
func IsBootstrap(root string) bool {
	_, err := os.Stat(filepath.Join(root, "opt/openshift"))
	return err == nil
}

// bootstrap is the machine that begins the cluster and leaves it.
type bootstrap struct {
	*served
	config  Config
	image   string
	version string
}

// RunBootstrap begins the cluster, hands it over to the control plane, and then does nothing until the context ends.
func RunBootstrap(ctx context.Context, config Config) error {
	b := &bootstrap{config: config}
	if b.stage() == stageComplete {
		log.Say(unit, "bootkube.service complete")
		<-ctx.Done()
		return nil
	}
	with, err := b.credentialsOf()
	if err != nil {
		return err
	}
	if err := b.pull(ctx); err != nil {
		return stopped(ctx, err)
	}
	log.Say(unit, "Starting etcd, the API and the machine config server")
	if b.served, err = open(config, with, true); err != nil {
		return err
	}
	if b.stage() != stageTold {
		if err = b.begin(ctx); err == nil {
			err = b.handOver(ctx)
		}
		if err == nil || errors.Is(err, errLeft) {
			err = b.tell(ctx)
		}
	}
	if err == nil {
		err = b.leave(ctx)
	}
	if err = errors.Join(err, b.store.Close()); err != nil {
		return stopped(ctx, err)
	}
	<-ctx.Done()
	return nil
}

// await waits until the store is ready. A bootstrap that lost power after it had left waits in vain: the control plane
// knows.
func (b *bootstrap) await(ctx context.Context) error {
	for {
		limited, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := b.store.WaitReady(limited)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if b.stage() == stageLeaving && !b.isMember(ctx) {
			return errLeft
		}
		log.Say("etcd", "waiting for the other members: %v", err)
	}
}

func (b *bootstrap) credentialsOf() (*credentials.Credentials, error) {
	found, err := credentials.Kept(b.config.Data)
	if err != nil || found != nil {
		return found, err
	}
	log.Say(unit, "making the control plane's certificates")
	if found, err = credentials.FromInstaller(b.config.Root); err != nil {
		return nil, err
	}
	return found, found.Keep(b.config.Data)
}

// pull asks the registry for the release image, again and again, as release-image.service does.
func (b *bootstrap) pull(ctx context.Context) (err error) {
	if b.image, err = release.Image(b.config.Root); err != nil {
		return err
	}
	log.Say("release-image", "Pulling %s...", b.image)
	said := ""
	for wait := time.Second; ; wait = min(wait*2, 15*time.Second) {
		if b.version, err = release.Version(ctx, b.config.Root, b.image); err == nil {
			log.Say("release-image", "release %s is pulled", b.version)
			return nil
		}
		if err.Error() != said {
			log.Say("release-image", "Pull failed. Retrying %s...: %v", b.image, err)
			said = err.Error()
		}
		pause(ctx, wait)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// begin starts store, API and machine config, and brings the manifests.
func (b *bootstrap) begin(ctx context.Context) error {
	if err := b.await(ctx); err != nil {
		return err
	}
	first, err := credentials.First(b.config.Root)
	if err != nil {
		return err
	}
	if err := b.serveAPI(ctx, first); err != nil {
		return err
	}
	applied := &applier{api: b.api, known: map[string][]rest.Object{}, spaces: map[string]bool{}}
	for _, name := range namespaces {
		if err := applied.space(ctx, name); err != nil {
			return err
		}
	}
	if err := applied.apply(ctx, b.config.Root); err != nil {
		return err
	}
	if err := b.own(ctx, applied); err != nil {
		return err
	}
	b.serveMachineConfig(ctx, true)
	b.lead(ctx)
	return nil
}

// own makes what the installer's manifests do not hold.
func (b *bootstrap) own(ctx context.Context, to *applier) error {
	text, err := json.Marshal(b.credentials)
	if err != nil {
		return err
	}
	secret := rest.Object{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": rest.Object{"name": secretName},
		"data": rest.Object{secretField: base64.StdEncoding.EncodeToString(text)},
	}
	if err := to.ensure(ctx, secretNamespace+"/secrets", secret); err != nil {
		return err
	}
	signer, err := toKubelet(b.config.Root)
	if err != nil {
		return err
	}
	if err := to.ensure(ctx, rest.Namespaces+"/openshift-kube-apiserver-operator/secrets", signer); err != nil {
		return err
	}
	// The real release brings one; whichever is there first stays.
	hub := rest.Object{
		"apiVersion": "config.openshift.io/v1", "kind": "OperatorHub", "metadata": rest.Object{"name": "cluster"},
		"spec": rest.Object{},
	}
	if err := to.ensure(ctx, "/apis/config.openshift.io/v1/operatorhubs", hub); err != nil {
		return err
	}
	for _, pool := range []string{"master", "worker"} {
		if err := to.ensure(ctx, rest.Pools, poolOf(pool)); err != nil {
			return err
		}
	}
	return b.desire(ctx)
}

// desire says which release the cluster is to be at.
func (b *bootstrap) desire(ctx context.Context) error {
	version, err := b.api.Get(ctx, rest.Versions+"/version")
	if err != nil || rest.Text(version, "status", "desired", "version") != "" {
		return err
	}
	rest.Set(version, controllers.Desired(b.version, b.image), "status")
	_, err = b.api.Update(ctx, rest.Versions+"/version/status", version)
	return err
}

func poolOf(name string) rest.Object {
	return rest.Object{
		"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool",
		"metadata": rest.Object{"name": name},
		"spec": rest.Object{
			"machineConfigSelector": rest.Object{
				"matchLabels": rest.Object{"machineconfiguration.openshift.io/role": name},
			},
			"nodeSelector": rest.Object{"matchLabels": rest.Object{"node-role.kubernetes.io/" + name: ""}},
		},
	}
}

// toKubelet is the signer whose annotation tells how long a cluster may be switched off.
func toKubelet(root string) (rest.Object, error) {
	place := filepath.Join(root, "opt/openshift/tls/kube-apiserver-to-kubelet-signer.crt")
	text, err := os.ReadFile(place)
	if err != nil {
		return nil, err
	}
	until, err := notAfter(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	return rest.Object{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
		"metadata": rest.Object{
			"name":        "kube-apiserver-to-kubelet-signer",
			"annotations": rest.Object{"auth.openshift.io/certificate-not-after": until.UTC().Format(time.RFC3339)},
		},
		"data": rest.Object{"tls.crt": base64.StdEncoding.EncodeToString(text), "tls.key": ""},
	}, nil
}
