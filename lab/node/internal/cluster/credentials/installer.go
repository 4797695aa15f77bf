package credentials

import (
	"errors"
	"os"
	"path/filepath"

	"okd-libvirt/lab/node/internal/cluster/pki"
)

// FromInstaller makes them from what the bootstrap's ignition config wrote below root.
func FromInstaller(root string) (*Credentials, error) {
	from := installed{root: filepath.Join(root, "opt/openshift")}
	made := &Credentials{
		ServerCAs:     from.read("tls/kube-apiserver-complete-server-ca-bundle.crt"),
		ClientCAs:     from.read("tls/kube-apiserver-complete-client-ca-bundle.crt"),
		MachineConfig: from.pair("machine-config-server"),
		Kubelet:       from.read("auth/kubeconfig-kubelet"),
		RootCA:        from.read("tls/root-ca.crt"),
		API:           map[string]pki.Pair{},
	}
	for name, signer := range servers {
		from.renew(made, name, signer)
	}
	made.Controllers = from.controllers()
	if from.err != nil {
		return nil, from.err
	}
	return made, made.own()
}

// own adds the authorities that the installer knows nothing of.
func (c *Credentials) own() (err error) {
	if c.Domain == "" {
		return errors.New("the installer's API certificate names no api.DOMAIN")
	}
	if c.Members, err = pki.NewAuthority("etcd-signer", 10*year); err != nil {
		return err
	}
	if c.Requests, err = pki.NewAuthority("kube-csr-signer", year); err != nil {
		return err
	}
	c.ClientCAs = append(c.ClientCAs, c.Requests.Certificate...)
	ingress, err := pki.NewAuthority("ingress-operator", 2*year)
	if err != nil {
		return err
	}
	c.IngressCA = ingress.Certificate
	authority, err := ingress.Load()
	if err != nil {
		return err
	}
	domain := "*.apps." + c.Domain
	c.Ingress, err = authority.Issue(pki.Wanted{
		User: domain, Names: []string{domain}, Server: true, Lifetime: 2 * year, WithIssuer: true,
	})
	return err
}

// servers are the installer's certificates for the API, and who signed them.
var servers = map[string]string{
	"kube-apiserver-lb-server":              "kube-apiserver-lb-signer",
	"kube-apiserver-internal-lb-server":     "kube-apiserver-lb-signer",
	"kube-apiserver-localhost-server":       "kube-apiserver-localhost-signer",
	"kube-apiserver-service-network-server": "kube-apiserver-service-network-signer",
}

// First returns the API's certificates as the installer made them: the bootstrap serves with these.
func First(root string) (map[string]pki.Pair, error) {
	from, found := installed{root: filepath.Join(root, "opt/openshift")}, map[string]pki.Pair{}
	for name := range servers {
		one := from.pair(name)
		if from.err != nil {
			return nil, from.err
		}
		parsed, err := one.TLS()
		if err != nil {
			return nil, err
		}
		found[parsed.Leaf.DNSNames[0]] = one
	}
	return found, nil
}

type installed struct {
	root string
	err  error
}

func (i *installed) read(name string) []byte {
	text, err := os.ReadFile(filepath.Join(i.root, name))
	if i.err == nil {
		i.err = err
	}
	return text
}

func (i *installed) pair(name string) pki.Pair {
	return pki.Pair{Certificate: i.read("tls/" + name + ".crt"), Key: i.read("tls/" + name + ".key")}
}

func (i *installed) renew(into *Credentials, name, signer string) {
	old, authority := i.pair(name), i.pair(signer)
	if i.err != nil {
		return
	}
	i.err = renew(into, old, authority)
}

func renew(into *Credentials, old, signer pki.Pair) error {
	known, err := old.TLS()
	if err != nil {
		return err
	}
	authority, err := signer.Load()
	if err != nil {
		return err
	}
	leaf := known.Leaf
	made, err := authority.Issue(pki.Wanted{
		User: leaf.Subject.CommonName, Groups: leaf.Subject.Organization,
		Names: leaf.DNSNames, Addresses: leaf.IPAddresses,
		Server: true, Lifetime: year, WithIssuer: true,
	})
	if err != nil {
		return err
	}
	name := leaf.DNSNames[0]
	into.API[name] = made
	if len(name) > 4 && name[:4] == "api." {
		into.Domain = name[4:]
	}
	return nil
}

func (i *installed) controllers() pki.Pair {
	signer := i.pair("kube-control-plane-signer")
	if i.err != nil {
		return pki.Pair{}
	}
	authority, err := signer.Load()
	if err != nil {
		i.err = err
		return pki.Pair{}
	}
	made, err := authority.Issue(pki.Wanted{
		User: "system:kube-controller-manager", Groups: []string{Administrators}, Client: true, Lifetime: year,
	})
	i.err = err
	return made
}
