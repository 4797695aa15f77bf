package tlsplugin

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"

	"github.com/pulumi/pulumi-go-provider/infer"
)

// CertRequest is tls:index/certRequest:CertRequest.
type CertRequest struct{}

// CertRequestArgs are its inputs.
type CertRequestArgs struct {
	DnsNames               []string            `pulumi:"dnsNames,optional"`
	IpAddresses            []string            `pulumi:"ipAddresses,optional"`
	PrivateKeyPem          *string             `pulumi:"privateKeyPem,optional" provider:"secret"`
	PrivateKeyPemWo        *string             `pulumi:"privateKeyPemWo,optional" provider:"secret"`
	PrivateKeyPemWoVersion *int                `pulumi:"privateKeyPemWoVersion,optional"`
	Subject                *CertRequestSubject `pulumi:"subject,optional"`
	Uris                   []string            `pulumi:"uris,optional"`
}

// CertRequestState is what the state holds; a write-only key never gets there.
type CertRequestState struct {
	CertRequestPem         string              `pulumi:"certRequestPem"`
	DnsNames               []string            `pulumi:"dnsNames,optional"`
	IpAddresses            []string            `pulumi:"ipAddresses,optional"`
	KeyAlgorithm           string              `pulumi:"keyAlgorithm"`
	PrivateKeyPem          *string             `pulumi:"privateKeyPem,optional" provider:"secret"`
	PrivateKeyPemWo        *string             `pulumi:"privateKeyPemWo,optional" provider:"secret"`
	PrivateKeyPemWoVersion *int                `pulumi:"privateKeyPemWoVersion,optional"`
	Subject                *CertRequestSubject `pulumi:"subject,optional"`
	Uris                   []string            `pulumi:"uris,optional"`
}

// Annotate names the resource.
func (r *CertRequest) Annotate(a infer.Annotator) {
	a.SetToken("index/certRequest", "CertRequest")
	a.Describe(&r, "Creates a certificate signing request (CSR) in PEM format.")
}

// Check refuses what cannot be requested.
func (*CertRequest) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[CertRequestArgs], error) {
	args, failures, err := infer.DefaultCheck[CertRequestArgs](ctx, req.NewInputs)
	c := checker{inputs: req.NewInputs, failures: failures}
	c.oneKey("privateKeyPem")
	c.names(args.IpAddresses, args.Uris)
	return infer.CheckResponse[CertRequestArgs]{Inputs: args, Failures: c.failures}, err
}

// Create makes and signs the request.
func (*CertRequest) Create(
	_ context.Context, req infer.CreateRequest[CertRequestArgs],
) (infer.CreateResponse[CertRequestState], error) {
	in := req.Inputs
	state := CertRequestState{
		DnsNames: in.DnsNames, IpAddresses: in.IpAddresses, PrivateKeyPem: in.PrivateKeyPem,
		PrivateKeyPemWoVersion: in.PrivateKeyPemWoVersion, Subject: in.Subject, Uris: in.Uris,
	}
	failed := func(err error) (infer.CreateResponse[CertRequestState], error) {
		return infer.CreateResponse[CertRequestState]{}, err
	}
	if req.DryRun {
		return infer.CreateResponse[CertRequestState]{Output: state}, nil
	}
	key, err := parseKey(value(in.PrivateKeyPem, value(in.PrivateKeyPemWo, "")))
	if err != nil {
		return failed(err)
	}
	if state.KeyAlgorithm, err = algorithmOf(key.Public()); err != nil {
		return failed(err)
	}
	template := &x509.CertificateRequest{DNSNames: in.DnsNames}
	var c checker
	if template.IPAddresses, template.URIs = parseNames(in.IpAddresses, in.Uris, c.fail); len(c.failures) > 0 {
		return failed(c.err())
	}
	if in.Subject != nil {
		template.Subject = in.Subject.name()
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return failed(fmt.Errorf("sign the certificate request: %w", err))
	}
	state.CertRequestPem = encodePEM("CERTIFICATE REQUEST", der)
	return infer.CreateResponse[CertRequestState]{ID: digest(state.CertRequestPem), Output: state}, nil
}

// Diff replaces the request when what it was made from changes.
func (*CertRequest) Diff(
	_ context.Context, req infer.DiffRequest[CertRequestArgs, CertRequestState],
) (infer.DiffResponse, error) {
	d, was, in := newDiff(), req.State, req.Inputs
	replaces(d, "dnsNames", list(was.DnsNames), list(in.DnsNames))
	replaces(d, "ipAddresses", list(was.IpAddresses), list(in.IpAddresses))
	replaces(d, "uris", list(was.Uris), list(in.Uris))
	replaces(d, "privateKeyPem", was.PrivateKeyPem, in.PrivateKeyPem)
	replaces(d, "privateKeyPemWoVersion", was.PrivateKeyPemWoVersion, in.PrivateKeyPemWoVersion)
	replaces(d, "subject", was.Subject, in.Subject)
	return d.response(), nil
}
