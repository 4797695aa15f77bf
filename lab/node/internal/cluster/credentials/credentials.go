// Package credentials holds what the control plane signs and serves with.
//
// Owns: making it on the bootstrap out of what the installer made, and keeping it on a machine. Does not own: carrying it
// from the bootstrap to the control plane (a Secret, see controllers).
//
// What the installer makes for the first day only (the API's certificates, the authority that signs the kubelets'
// requests) is made anew with a longer life, as the real operators do.
package credentials

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"okd-libvirt/lab/node/internal/cluster/pki"
	"okd-libvirt/lab/node/internal/cluster/rest"
)

const (
	year = 365 * 24 * time.Hour
	file = "credentials.json"
	// Administrators is the group that may do everything.
	Administrators = "system:masters"
)

// Credentials are the same on every machine of the control plane, and on the bootstrap.
type Credentials struct {
	// Domain is the cluster's: API is served as api.Domain and api-int.Domain.
	Domain string `json:"domain"`
	// API holds the API's certificates by server name.
	API map[string]pki.Pair `json:"api"`
	// ServerCAs are what the API's certificates are verified with, ClientCAs what its clients' are.
	ServerCAs []byte `json:"serverCAs"`
	ClientCAs []byte `json:"clientCAs"`
	// Requests signs approved certificate requests.
	Requests pki.Pair `json:"requests"`
	// Controllers is the client certificate of what runs on the leader.
	Controllers   pki.Pair `json:"controllers"`
	MachineConfig pki.Pair `json:"machineConfig"`
	// Members signs the certificates that the members of the store know each other by.
	Members pki.Pair `json:"members"`
	// Kubelet is the kubeconfig that machines file their first request with.
	Kubelet []byte `json:"kubelet"`
	RootCA  []byte `json:"rootCA"`
	// Ingress is the default certificate of the ingress, IngressCA the authority it is verified with.
	Ingress   pki.Pair `json:"ingress"`
	IngressCA []byte   `json:"ingressCA"`
}

// Certificates returns the API's certificates out of those by name.
func (c *Credentials) Certificates(by map[string]pki.Pair) ([]tls.Certificate, error) {
	// The first is what a client gets that names no server, or one that none is for.
	order := []string{"api." + c.Domain, "api-int." + c.Domain, "localhost", "kubernetes"}
	found := make([]tls.Certificate, 0, len(order))
	for _, name := range order {
		made, err := by[name].TLS()
		if err != nil {
			return nil, fmt.Errorf("the API's certificate for %s: %w", name, err)
		}
		found = append(found, made)
	}
	return found, nil
}

// Member returns the TLS configuration of the member of the store at an address.
func (c *Credentials) Member(name, address string) (*tls.Config, error) {
	authority, err := c.Members.Load()
	if err != nil {
		return nil, err
	}
	made, err := authority.Issue(pki.Wanted{
		User: "system:etcd-peer:" + name, Names: []string{name}, Addresses: []net.IP{net.ParseIP(address)},
		Client: true, Server: true, Lifetime: 3 * year,
	})
	if err != nil {
		return nil, err
	}
	certificate, err := made.TLS()
	if err != nil {
		return nil, err
	}
	pool := pki.Pool(c.Members.Certificate)
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		RootCAs:      pool,
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS13,
	}, nil
}

// Client returns how the API at an address is asked as one of the controllers.
func (c *Credentials) Client(address string) (*rest.Client, error) {
	certificate, err := c.Controllers.TLS()
	if err != nil {
		return nil, err
	}
	return rest.New(rest.Options{
		Server: address, Name: "api-int." + c.Domain, CAs: c.CAs(),
		Certificate: func() (*tls.Certificate, error) { return &certificate, nil },
	}), nil
}

// CAs are what the API's certificates are verified with.
func (c *Credentials) CAs() *x509.CertPool { return pki.Pool(c.ServerCAs) }

// Kept returns what a directory holds; nothing when it holds none.
func Kept(directory string) (*Credentials, error) {
	text, err := os.ReadFile(filepath.Join(directory, file))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return Read(text)
}

// Read returns what a document holds.
func Read(text []byte) (*Credentials, error) {
	found := &Credentials{}
	return found, json.Unmarshal(text, found)
}

// Keep writes them to a directory.
func (c *Credentials) Keep(directory string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return Write(filepath.Join(directory, file), text)
}

// Write puts a secret into a file in one step: a machine that loses power has the old one or the new one.
func Write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	next, err := os.OpenFile(path+".next", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer next.Close()
	if _, err := next.Write(text); err != nil {
		return err
	}
	if err := next.Sync(); err != nil {
		return err
	}
	return os.Rename(path+".next", path)
}
