package controllers

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"time"

	"okd-libvirt/lab/node/internal/cluster/pki"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	// ClientSigner and ServingSigner are the signers that kubelets ask.
	ClientSigner  = "kubernetes.io/kube-apiserver-client-kubelet"
	ServingSigner = "kubernetes.io/kubelet-serving"
	month         = 30 * 24 * time.Hour
	nodePrefix    = "system:node:"
	nodeGroup     = "system:nodes"
)

// sign signs what somebody has approved, as far as the signer that was asked allows it.
func (m *Manager) sign(ctx context.Context, _ *snapshot) error {
	requests, err := m.API.List(ctx, rest.Requests)
	if err != nil {
		return err
	}
	for _, request := range requests {
		if !due(request) {
			continue
		}
		if err := m.signOne(ctx, request); err != nil {
			return err
		}
	}
	return nil
}

func due(request rest.Object) bool {
	holds := func(kind string) bool { return rest.Text(rest.Condition(request, kind), "status") == "True" }
	signer := rest.Text(request, "spec", "signerName")
	return (signer == ClientSigner || signer == ServingSigner) &&
		rest.Text(request, "status", "certificate") == "" &&
		holds("Approved") && !holds("Denied") && !holds("Failed")
}

func (m *Manager) signOne(ctx context.Context, request rest.Object) error {
	name, signer := rest.Name(request), rest.Text(request, "spec", "signerName")
	text, err := m.signed(request, signer)
	if err != nil {
		log.Say("kube-controller-manager", "request %s is approved, but %s does not sign it: %v", name, signer, err)
		rest.SetCondition(request, "Failed", "True", "SignerValidationFailure", err.Error())
	} else {
		log.Say("kube-controller-manager", "request %s of %s is signed", name, rest.Text(request, "spec", "username"))
		rest.Set(request, base64.StdEncoding.EncodeToString(text), "status", "certificate")
	}
	_, err = m.API.Update(ctx, rest.Requests+"/"+name+"/status", request)
	return err
}

func (m *Manager) signed(request rest.Object, signer string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(rest.Text(request, "spec", "request"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("no PEM block in spec.request")
	}
	asked, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	if err := asked.CheckSignature(); err != nil {
		return nil, err
	}
	if err := permitted(request, asked, signer); err != nil {
		return nil, err
	}
	authority, err := m.Credentials.Requests.Load()
	if err != nil {
		return nil, err
	}
	wanted := pki.Wanted{Client: signer == ClientSigner, Server: signer == ServingSigner, Lifetime: month}
	return authority.Sign(asked, wanted)
}

// permitted holds the rules that the two signers have in Kubernetes itself.
func permitted(request rest.Object, asked *x509.CertificateRequest, signer string) error {
	usages, _ := rest.Map(request, "spec")["usages"].([]any)
	allowed, needed := []string{"digital signature", "key encipherment", "client auth"}, "client auth"
	names := len(asked.DNSNames) + len(asked.IPAddresses)
	if signer == ServingSigner {
		allowed[2], needed = "server auth", "server auth"
		if names == 0 {
			return errors.New("a serving certificate needs a name or an address")
		}
		if rest.Text(request, "spec", "username") != asked.Subject.CommonName {
			return errors.New("a node asks for itself only")
		}
	} else if names > 0 {
		return errors.New("a client certificate takes no names")
	}
	for _, usage := range usages {
		word, _ := usage.(string)
		if !slices.Contains(allowed, word) {
			return errors.New("the usage " + word + " is not this signer's")
		}
	}
	switch {
	case !slices.Contains(usages, any(needed)):
		return errors.New("the usage " + needed + " is missing")
	case len(asked.EmailAddresses)+len(asked.URIs) > 0:
		return errors.New("no e-mail addresses, no URIs")
	case !strings.HasPrefix(asked.Subject.CommonName, nodePrefix):
		return errors.New("the common name is no " + nodePrefix + "NAME")
	case !slices.Equal(asked.Subject.Organization, []string{nodeGroup}):
		return errors.New("the organization is not " + nodeGroup)
	}
	return nil
}
