package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"okd-libvirt/lab/node/internal/cluster/controllers"
	"okd-libvirt/lab/node/internal/cluster/credentials"
	"okd-libvirt/lab/node/internal/cluster/pki"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

// What the bootstrap remembers over a power cut.
const (
	stageFile     = "bootstrap-stage.json"
	stageLeaving  = "leaving"
	stageTold     = "told"
	stageComplete = "complete"
	// The load balancer needs three good checks, ten seconds apart, before it knows the control plane.
	balancerPatience = 2 * time.Minute
	look             = 2 * time.Second
	// As many control-plane machines do without the bootstrap as the real cluster-bootstrap asks for.
	enough = 2
)

type stage struct {
	Stage string `json:"stage"`
	// Others are the addresses of the control plane's machines.
	Others []string `json:"others"`
}

func (b *bootstrap) remembered() stage {
	var found stage
	text, err := os.ReadFile(filepath.Join(b.config.Data, stageFile))
	if err == nil && json.Unmarshal(text, &found) != nil {
		return stage{}
	}
	return found
}

func (b *bootstrap) stage() string { return b.remembered().Stage }

func (b *bootstrap) remember(what stage) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return credentials.Write(filepath.Join(b.config.Data, stageFile), text)
}

// handOver waits until enough of the control plane serves, and stops serving.
func (b *bootstrap) handOver(ctx context.Context) error {
	config, err := b.api.Get(ctx, rest.Namespaces+"/kube-system/configmaps/cluster-config-v1")
	if err != nil {
		return err
	}
	wanted := controllers.Replicas(config)
	if wanted == 0 {
		return errors.New("the install-config asks for no control-plane machine")
	}
	wanted = min(wanted, enough)
	log.Say(unit, "Waiting for %d control-plane machines", wanted)
	said := ""
	var others []string
	for {
		others, said = b.takenOver(ctx, wanted, said)
		if len(others) >= wanted {
			break
		}
		select {
		case err := <-b.ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
	b.awaitBalancer(ctx)
	if err := b.remember(stage{stageLeaving, others}); err != nil {
		return err
	}
	return b.withdraw()
}

// takenOver returns the addresses of the control-plane machines that are Ready, members, and serve.
func (b *bootstrap) takenOver(ctx context.Context, wanted int, said string) ([]string, string) {
	nodes, err := b.api.List(ctx, rest.Nodes)
	if err != nil {
		return nil, said
	}
	voters := map[string]bool{}
	for _, member := range b.store.Members() {
		voters[member.ID] = member.Voter
	}
	var done, words []string
	for _, node := range nodes {
		if !controllers.ControlPlane(node) {
			continue
		}
		name, address := rest.Name(node), controllers.Address(node)
		state := "serves"
		switch {
		case !controllers.Ready(node):
			state = "is not Ready"
		case !voters[name]:
			state = "is no member of the store"
		case !b.answers(ctx, address):
			state = "does not serve yet"
		default:
			done = append(done, address)
		}
		words = append(words, name+" "+state)
	}
	text := fmt.Sprintf("%d control-plane machines serve, %d are enough: %s", len(done), wanted, strings.Join(words, ", "))
	if len(words) > 0 && text != said {
		log.Say(unit, "%s", text)
	}
	return done, text
}

func (b *bootstrap) answers(ctx context.Context, address string) bool {
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		ServerName: "api-int." + b.credentials.Domain, RootCAs: pki.Pool(b.credentials.ServerCAs),
		MinVersion: tls.VersionTLS12,
	}}
	client := &http.Client{Timeout: 5 * time.Second, Transport: transport}
	return controllers.Healthy(ctx, client, fmt.Sprintf("https://%s:%d/readyz", address, apiPort))
}

// awaitBalancer waits until the load balancer sends clients to the control plane: the bootstrap does not go before.
//
// It stands behind the balancer as a backup, so one answer of another machine tells.
func (b *bootstrap) awaitBalancer(ctx context.Context) {
	name := b.config.APIInt
	if name == "" {
		name = fmt.Sprintf("api-int.%s:%d", b.credentials.Domain, apiPort)
	}
	log.Say(unit, "Waiting for the load balancer to know the control plane")
	for until := time.Now().Add(balancerPatience); time.Now().Before(until) && ctx.Err() == nil; pause(ctx, look) {
		if b.elsewhere(ctx, name) {
			return
		}
	}
	log.Say(unit, "%s still ends at the bootstrap; going on", name)
}

// elsewhere tells whether the load balancer's answer comes from the control plane: the bootstrap serves with the
// certificates that the installer made, the others with the renewed ones.
func (b *bootstrap) elsewhere(ctx context.Context, balancer string) bool {
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: 5 * time.Second},
		Config: &tls.Config{
			ServerName: "api-int." + b.credentials.Domain, RootCAs: b.credentials.CAs(), MinVersion: tls.VersionTLS12,
		},
	}
	connection, err := dialer.DialContext(ctx, "tcp", balancer)
	if err != nil {
		return false
	}
	defer connection.Close()
	shown := connection.(*tls.Conn).ConnectionState().PeerCertificates[0]
	renewed, err := b.credentials.API["api-int."+b.credentials.Domain].TLS()
	return err == nil && shown.SerialNumber.Cmp(renewed.Leaf.SerialNumber) == 0
}

func notAfter(text []byte) (time.Time, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return time.Time{}, errors.New("no certificate")
	}
	found, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, err
	}
	return found.NotAfter, nil
}
