package tlsplugin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	algorithmRSA     = "RSA"
	algorithmECDSA   = "ECDSA"
	algorithmED25519 = "ED25519"

	defaultCurve   = "P224"
	defaultRSABits = 2048
)

var curves = map[string]elliptic.Curve{
	"P224": elliptic.P224(), "P256": elliptic.P256(), "P384": elliptic.P384(), "P521": elliptic.P521(),
}

func generateKey(algorithm, curve string, rsaBits int) (crypto.Signer, error) {
	switch algorithm {
	case algorithmRSA:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case algorithmECDSA:
		c, ok := curves[curve]
		if !ok {
			return nil, fmt.Errorf("unknown curve %q", curve)
		}
		return ecdsa.GenerateKey(c, rand.Reader)
	case algorithmED25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("unknown algorithm %q", algorithm)
}

func algorithmOf(public crypto.PublicKey) (string, error) {
	switch public.(type) {
	case *rsa.PublicKey:
		return algorithmRSA, nil
	case *ecdsa.PublicKey:
		return algorithmECDSA, nil
	case ed25519.PublicKey:
		return algorithmED25519, nil
	}
	return "", fmt.Errorf("unsupported kind of key %T", public)
}

// encodeKey gives the traditional PEM form (PKCS#1, SEC 1; PKCS#8 for ED25519, which has no other) and PKCS#8.
func encodeKey(key crypto.Signer) (traditional, pkcs8 string, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	pkcs8 = encodePEM("PRIVATE KEY", der)
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)), pkcs8, nil
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		return encodePEM("EC PRIVATE KEY", der), pkcs8, err
	}
	return pkcs8, pkcs8, nil
}

// publicForms are the representations of a public key. The OpenSSH ones are empty for a key that OpenSSH does not
// support (ECDSA on P224).
type publicForms struct {
	pem, openssh, md5, sha256 string
	supported                 bool
}

func encodePublic(public crypto.PublicKey) (publicForms, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return publicForms{}, err
	}
	forms := publicForms{pem: encodePEM("PUBLIC KEY", der)}
	if key, err := ssh.NewPublicKey(public); err == nil {
		forms.openssh = string(ssh.MarshalAuthorizedKey(key))
		forms.md5 = ssh.FingerprintLegacyMD5(key)
		forms.sha256 = ssh.FingerprintSHA256(key)
		forms.supported = true
	}
	return forms, nil
}

func encodeOpenSSH(key crypto.Signer) (string, error) {
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(block)), nil
}

// parseKey reads a private key; its errors never quote the key.
func parseKey(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the private key is not in PEM format")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "OPENSSH PRIVATE KEY":
		key, err = ssh.ParseRawPrivateKey([]byte(text))
	default:
		return nil, fmt.Errorf("cannot use a PEM block of type %q as a private key", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the private key: %w", err)
	}
	if pointer, ok := key.(*ed25519.PrivateKey); ok {
		key = *pointer
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("unsupported kind of private key %T", key)
	}
	return signer, nil
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// digest makes a resource's id out of a public text.
func digest(text string) string {
	sum := sha1.Sum([]byte(strings.TrimSpace(text)))
	return hex.EncodeToString(sum[:])
}
