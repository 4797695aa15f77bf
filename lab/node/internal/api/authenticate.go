package api

import (
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"slices"
	"time"
)

// Users and groups that the API itself knows.
const (
	Masters      = "system:masters"
	Nodes        = "system:nodes"
	NodePrefix   = "system:node:"
	Bootstrapper = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper"
)

type user struct {
	name   string
	groups []string
}

func (u user) in(group string) bool {
	return slices.Contains(u.groups, group)
}

// authenticate returns who holds the client certificate, or nil for nobody that this cluster knows.
func (s *Server) authenticate(r *http.Request) *user {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	certificate := r.TLS.PeerCertificates[0]
	if certificate.Subject.CommonName == "" || !s.trusted(certificate, r.TLS.PeerCertificates[1:]) {
		return nil
	}
	groups := append(slices.Clone(certificate.Subject.Organization), "system:authenticated")
	return &user{certificate.Subject.CommonName, groups}
}

// trusted verifies a certificate once: signatures are slow on an emulated processor, and clients come again.
func (s *Server) trusted(certificate *x509.Certificate, rest []*x509.Certificate) bool {
	fingerprint := sha256.Sum256(certificate.Raw)
	if until, ok := s.known.Load(fingerprint); ok && time.Now().Before(until.(time.Time)) {
		return !time.Now().Before(certificate.NotBefore)
	}
	between := x509.NewCertPool()
	for _, each := range rest {
		between.AddCert(each)
	}
	chains, err := certificate.Verify(x509.VerifyOptions{
		Roots: s.options.ClientCAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return false
	}
	until := certificate.NotAfter
	for _, each := range chains[0] {
		if each.NotAfter.Before(until) {
			until = each.NotAfter
		}
	}
	s.known.Store(fingerprint, until)
	return true
}
