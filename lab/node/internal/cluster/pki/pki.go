// Package pki makes keys and certificates, and signs requests for them.
//
// Owns: authorities, what they sign, PEM. Does not own: which authorities there are (credentials), nor who decides about
// a request (controllers).
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"
)

// early is how far back a certificate begins: the machines' clocks differ by a little.
const early = 5 * time.Minute

// Pair is a certificate (with those that follow it) and its key, both PEM.
type Pair struct {
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"`
}

// TLS returns the pair as TLS wants it.
func (p Pair) TLS() (tls.Certificate, error) { return tls.X509KeyPair(p.Certificate, p.Key) }

// Authority signs.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
	text        []byte
}

// NewAuthority makes an authority that signs itself.
func NewAuthority(name string, lifetime time.Duration) (Pair, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name, OrganizationalUnit: []string{"openshift"}},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	if err := dated(template, lifetime); err != nil {
		return Pair{}, err
	}
	return pair(template, template, key, key, nil)
}

// Load reads an authority.
func (p Pair) Load() (*Authority, error) {
	found, err := p.TLS()
	if err != nil {
		return nil, err
	}
	signer, ok := found.PrivateKey.(crypto.Signer)
	if !ok || !found.Leaf.IsCA {
		return nil, errors.New(found.Leaf.Subject.CommonName + " is no authority")
	}
	return &Authority{found.Leaf, signer, p.Certificate}, nil
}

// Wanted says what a certificate is for.
type Wanted struct {
	User       string
	Groups     []string
	Names      []string
	Addresses  []net.IP
	Lifetime   time.Duration
	Client     bool
	Server     bool
	WithIssuer bool
}

// Issue makes a key and a certificate for it.
func (a *Authority) Issue(wanted Wanted) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	template, err := a.template(wanted)
	if err != nil {
		return Pair{}, err
	}
	var chain []byte
	if wanted.WithIssuer {
		chain = a.text
	}
	return pair(template, a.Certificate, key, a.key, chain)
}

// Sign makes a certificate for the key and the names of a request.
func (a *Authority) Sign(request *x509.CertificateRequest, wanted Wanted) ([]byte, error) {
	wanted.Names, wanted.Addresses = request.DNSNames, request.IPAddresses
	template, err := a.template(wanted)
	if err != nil {
		return nil, err
	}
	template.RawSubject = request.RawSubject
	raw, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, request.PublicKey, a.key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), err
}

func (a *Authority) template(wanted Wanted) (*x509.Certificate, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: wanted.User, Organization: wanted.Groups},
		DNSNames:              wanted.Names,
		IPAddresses:           wanted.Addresses,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	if wanted.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	if wanted.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	err := dated(template, wanted.Lifetime)
	if template.NotAfter.After(a.Certificate.NotAfter) {
		template.NotAfter = a.Certificate.NotAfter
	}
	return template, err
}

func dated(template *x509.Certificate, lifetime time.Duration) (err error) {
	template.NotBefore = time.Now().Add(-early)
	template.NotAfter = time.Now().Add(lifetime)
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return err
}

func pair(template, parent *x509.Certificate, key, signer crypto.Signer, chain []byte) (Pair, error) {
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	text, err := KeyText(key)
	if err != nil {
		return Pair{}, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	return Pair{append(certificate, chain...), text}, nil
}

// KeyText returns a key as PEM.
func KeyText(key crypto.Signer) ([]byte, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), err
}

// Pool returns certificates as a pool.
func Pool(texts ...[]byte) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, text := range texts {
		pool.AppendCertsFromPEM(text)
	}
	return pool
}
