package tlsplugin

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/pulumi/pulumi-go-provider/infer"
)

// Config is the provider's configuration.
type Config struct {
	Proxy *Proxy `pulumi:"proxy,optional"`
}

// Proxy tells through which proxy sites are reached.
type Proxy struct {
	FromEnv  *bool   `pulumi:"fromEnv,optional"`
	Password *string `pulumi:"password,optional" provider:"secret"`
	URL      *string `pulumi:"url,optional"`
	Username *string `pulumi:"username,optional"`
}

// Annotate names the type.
func (p *Proxy) Annotate(a infer.Annotator) { a.SetToken("index/ProviderProxy", "ProviderProxy") }

// GetPublicKey is tls:index/getPublicKey:getPublicKey.
type GetPublicKey struct{}

// GetPublicKeyArgs are its arguments.
type GetPublicKeyArgs struct {
	PrivateKeyOpenssh *string `pulumi:"privateKeyOpenssh,optional" provider:"secret"`
	PrivateKeyPem     *string `pulumi:"privateKeyPem,optional" provider:"secret"`
}

// GetPublicKeyResult is its result.
type GetPublicKeyResult struct {
	GetPublicKeyArgs
	Algorithm                  string `pulumi:"algorithm"`
	PublicKeyFingerprintMd5    string `pulumi:"publicKeyFingerprintMd5"`
	PublicKeyFingerprintSha256 string `pulumi:"publicKeyFingerprintSha256"`
	PublicKeyOpenssh           string `pulumi:"publicKeyOpenssh"`
	PublicKeyPem               string `pulumi:"publicKeyPem"`
}

// Annotate names the function.
func (r *GetPublicKey) Annotate(a infer.Annotator) {
	a.SetToken("index/getPublicKey", "getPublicKey")
	a.Describe(&r, "Get a public key from a PEM-encoded private key.")
}

// Invoke derives the public key.
func (*GetPublicKey) Invoke(
	_ context.Context, req infer.FunctionRequest[GetPublicKeyArgs],
) (infer.FunctionResponse[GetPublicKeyResult], error) {
	var none infer.FunctionResponse[GetPublicKeyResult]
	in := req.Input
	if (in.PrivateKeyPem == nil) == (in.PrivateKeyOpenssh == nil) {
		return none, errors.New("exactly one of privateKeyPem and privateKeyOpenssh must be set")
	}
	key, err := parseKey(value(in.PrivateKeyPem, value(in.PrivateKeyOpenssh, "")))
	if err != nil {
		return none, err
	}
	algorithm, err := algorithmOf(key.Public())
	if err != nil {
		return none, err
	}
	public, err := encodePublic(key.Public())
	if err != nil {
		return none, err
	}
	return infer.FunctionResponse[GetPublicKeyResult]{Output: GetPublicKeyResult{
		GetPublicKeyArgs: in, Algorithm: algorithm, PublicKeyFingerprintMd5: public.md5,
		PublicKeyFingerprintSha256: public.sha256, PublicKeyOpenssh: public.openssh, PublicKeyPem: public.pem,
	}}, nil
}

// GetCertificate is tls:index/getCertificate:getCertificate.
type GetCertificate struct{}

// GetCertificateArgs are its arguments.
type GetCertificateArgs struct {
	Content     *string `pulumi:"content,optional"`
	URL         *string `pulumi:"url,optional"`
	VerifyChain *bool   `pulumi:"verifyChain,optional"`
}

// GetCertificateResult is its result: the chain with its root first.
type GetCertificateResult struct {
	GetCertificateArgs
	Certificates []GetCertificateCertificate `pulumi:"certificates"`
}

// GetCertificateCertificate is one certificate of the chain.
type GetCertificateCertificate struct {
	CertPem            string `pulumi:"certPem"`
	IsCa               bool   `pulumi:"isCa"`
	Issuer             string `pulumi:"issuer"`
	MaxPathLength      int    `pulumi:"maxPathLength"`
	NotAfter           string `pulumi:"notAfter"`
	NotBefore          string `pulumi:"notBefore"`
	PublicKeyAlgorithm string `pulumi:"publicKeyAlgorithm"`
	SerialNumber       string `pulumi:"serialNumber"`
	Sha1Fingerprint    string `pulumi:"sha1Fingerprint"`
	SignatureAlgorithm string `pulumi:"signatureAlgorithm"`
	Subject            string `pulumi:"subject"`
	Version            int    `pulumi:"version"`
}

// Annotate names the type.
func (c *GetCertificateCertificate) Annotate(a infer.Annotator) {
	a.SetToken("index/getCertificateCertificate", "getCertificateCertificate")
}

// Annotate names the function.
func (r *GetCertificate) Annotate(a infer.Annotator) {
	a.SetToken("index/getCertificate", "getCertificate")
	a.Describe(&r, "Get information about the TLS certificates securing a host.")
}

// Invoke reads the certificates from the given text or from the site.
func (*GetCertificate) Invoke(
	ctx context.Context, req infer.FunctionRequest[GetCertificateArgs],
) (infer.FunctionResponse[GetCertificateResult], error) {
	var none infer.FunctionResponse[GetCertificateResult]
	in := req.Input
	var chain []*x509.Certificate
	var err error
	switch {
	case (in.Content == nil) == (in.URL == nil):
		return none, errors.New("exactly one of content and url must be set")
	case in.Content != nil && in.VerifyChain != nil:
		return none, errors.New("verifyChain cannot be used with content")
	case in.Content != nil:
		chain, err = parseChain(*in.Content)
	default:
		chain, err = fetchChain(ctx, *in.URL, value(in.VerifyChain, true), infer.GetConfig[*Config](ctx).Proxy)
	}
	if err != nil {
		return none, err
	}
	result := GetCertificateResult{GetCertificateArgs: in}
	for n := len(chain) - 1; n >= 0; n-- {
		result.Certificates = append(result.Certificates, describe(chain[n]))
	}
	return infer.FunctionResponse[GetCertificateResult]{Output: result}, nil
}

func describe(c *x509.Certificate) GetCertificateCertificate {
	sum := sha1.Sum(c.Raw)
	length := noPathLength
	if c.IsCA && (c.MaxPathLen > 0 || c.MaxPathLenZero) {
		length = c.MaxPathLen
	}
	return GetCertificateCertificate{
		CertPem: encodePEM("CERTIFICATE", c.Raw), IsCa: c.IsCA, Issuer: c.Issuer.String(), MaxPathLength: length,
		NotAfter: c.NotAfter.Format(time.RFC3339), NotBefore: c.NotBefore.Format(time.RFC3339),
		PublicKeyAlgorithm: c.PublicKeyAlgorithm.String(), SerialNumber: c.SerialNumber.String(),
		Sha1Fingerprint: hex.EncodeToString(sum[:]), SignatureAlgorithm: c.SignatureAlgorithm.String(),
		Subject: c.Subject.String(), Version: c.Version,
	}
}

func parseChain(text string) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("content: %w", err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("content holds no certificate in PEM format")
	}
	return chain, nil
}
