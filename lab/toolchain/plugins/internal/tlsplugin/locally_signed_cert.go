package tlsplugin

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi-go-provider/infer"
)

// LocallySignedCert is tls:index/locallySignedCert:LocallySignedCert.
type LocallySignedCert struct{}

// LocallySignedCertArgs are its inputs.
type LocallySignedCertArgs struct {
	CertificateArgs
	CaCertPem                string  `pulumi:"caCertPem"`
	CaPrivateKeyPem          *string `pulumi:"caPrivateKeyPem,optional" provider:"secret"`
	CaPrivateKeyPemWo        *string `pulumi:"caPrivateKeyPemWo,optional" provider:"secret"`
	CaPrivateKeyPemWoVersion *int    `pulumi:"caPrivateKeyPemWoVersion,optional"`
	CertRequestPem           string  `pulumi:"certRequestPem"`
}

// LocallySignedCertState is what the state holds; a write-only key never gets there.
type LocallySignedCertState struct {
	CertificateState
	CaCertPem                string  `pulumi:"caCertPem"`
	CaKeyAlgorithm           string  `pulumi:"caKeyAlgorithm"`
	CaPrivateKeyPem          *string `pulumi:"caPrivateKeyPem,optional" provider:"secret"`
	CaPrivateKeyPemWo        *string `pulumi:"caPrivateKeyPemWo,optional" provider:"secret"`
	CaPrivateKeyPemWoVersion *int    `pulumi:"caPrivateKeyPemWoVersion,optional"`
	CertRequestPem           string  `pulumi:"certRequestPem"`
}

// Annotate names the resource.
func (r *LocallySignedCert) Annotate(a infer.Annotator) {
	a.SetToken("index/locallySignedCert", "LocallySignedCert")
	a.Describe(&r, "Creates a TLS certificate in PEM format from a certificate request and signs it with a given authority.")
}

// WireDependencies says that a new renewal time leaves the certificate as it is.
func (*LocallySignedCert) WireDependencies(
	f infer.FieldSelector, args *LocallySignedCertArgs, state *LocallySignedCertState,
) {
	made := []infer.InputField{
		f.InputField(&args.AllowedUses).Computed(), f.InputField(&args.ValidityPeriodHours).Computed(),
		f.InputField(&args.IsCaCertificate).Computed(), f.InputField(&args.MaxPathLength).Computed(),
		f.InputField(&args.SetSubjectKeyId).Computed(), f.InputField(&args.CaCertPem).Computed(),
		f.InputField(&args.CaPrivateKeyPem).Computed(), f.InputField(&args.CaPrivateKeyPemWoVersion).Computed(),
		f.InputField(&args.CertRequestPem).Computed(),
	}
	f.OutputField(&state.CertPem).DependsOn(made...)
	f.OutputField(&state.CaKeyAlgorithm).DependsOn(made...)
	f.OutputField(&state.ValidityStartTime).DependsOn(made...)
	f.OutputField(&state.ValidityEndTime).DependsOn(made...)
}

// Check refuses what cannot be issued.
func (*LocallySignedCert) Check(
	ctx context.Context, req infer.CheckRequest,
) (infer.CheckResponse[LocallySignedCertArgs], error) {
	args, failures, err := infer.DefaultCheck[LocallySignedCertArgs](ctx, req.NewInputs)
	c := checker{inputs: req.NewInputs, failures: failures}
	args.CertificateArgs.check(&c)
	c.oneKey("caPrivateKeyPem")
	return infer.CheckResponse[LocallySignedCertArgs]{Inputs: args, Failures: c.failures}, err
}

// Create issues the certificate for the key and the names of the request.
func (*LocallySignedCert) Create(
	_ context.Context, req infer.CreateRequest[LocallySignedCertArgs],
) (infer.CreateResponse[LocallySignedCertState], error) {
	in := req.Inputs
	state := LocallySignedCertState{
		CertificateState: in.state(), CaCertPem: in.CaCertPem, CaPrivateKeyPem: in.CaPrivateKeyPem,
		CaPrivateKeyPemWoVersion: in.CaPrivateKeyPemWoVersion, CertRequestPem: in.CertRequestPem,
	}
	failed := func(err error) (infer.CreateResponse[LocallySignedCertState], error) {
		return infer.CreateResponse[LocallySignedCertState]{}, err
	}
	if req.DryRun {
		return infer.CreateResponse[LocallySignedCertState]{Output: state}, nil
	}
	request, err := parseRequest(in.CertRequestPem)
	if err != nil {
		return failed(err)
	}
	authority, err := parseCertificate(in.CaCertPem)
	if err != nil {
		return failed(fmt.Errorf("caCertPem: %w", err))
	}
	key, err := parseKey(value(in.CaPrivateKeyPem, value(in.CaPrivateKeyPemWo, "")))
	if err != nil {
		return failed(err)
	}
	if state.CaKeyAlgorithm, err = algorithmOf(key.Public()); err != nil {
		return failed(err)
	}
	template := &x509.Certificate{
		RawSubject: request.RawSubject, DNSNames: request.DNSNames, IPAddresses: request.IPAddresses,
		URIs: request.URIs, EmailAddresses: request.EmailAddresses,
	}
	id, err := state.issue(template, authority, request.PublicKey, key)
	if err != nil {
		return failed(err)
	}
	return infer.CreateResponse[LocallySignedCertState]{ID: id, Output: state}, nil
}

// Diff replaces the certificate when it is due for renewal or what it was made from changes.
func (*LocallySignedCert) Diff(
	_ context.Context, req infer.DiffRequest[LocallySignedCertArgs, LocallySignedCertState],
) (infer.DiffResponse, error) {
	d, was, in := newDiff(), req.State, req.Inputs
	was.CertificateState.diff(d, in.CertificateArgs)
	replaces(d, "caCertPem", was.CaCertPem, in.CaCertPem)
	replaces(d, "caPrivateKeyPem", was.CaPrivateKeyPem, in.CaPrivateKeyPem)
	replaces(d, "caPrivateKeyPemWoVersion", was.CaPrivateKeyPemWoVersion, in.CaPrivateKeyPemWoVersion)
	replaces(d, "certRequestPem", was.CertRequestPem, in.CertRequestPem)
	return d.response(), nil
}

// Update takes over a new renewal time; nothing else is changed in place.
func (*LocallySignedCert) Update(
	_ context.Context, req infer.UpdateRequest[LocallySignedCertArgs, LocallySignedCertState],
) (infer.UpdateResponse[LocallySignedCertState], error) {
	req.State.update(req.Inputs.CertificateArgs)
	return infer.UpdateResponse[LocallySignedCertState]{Output: req.State}, nil
}

func parseRequest(text string) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("certRequestPem is no certificate request in PEM format")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certRequestPem: %w", err)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certRequestPem: wrong signature: %w", err)
	}
	return request, nil
}

func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in PEM format")
	}
	return x509.ParseCertificate(block.Bytes)
}
