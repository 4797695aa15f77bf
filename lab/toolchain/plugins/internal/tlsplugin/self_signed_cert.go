package tlsplugin

import (
	"context"
	"crypto/x509"

	"github.com/pulumi/pulumi-go-provider/infer"
)

// SelfSignedCert is tls:index/selfSignedCert:SelfSignedCert.
type SelfSignedCert struct{}

// SelfSignedCertArgs are its inputs.
type SelfSignedCertArgs struct {
	CertificateArgs
	DnsNames               []string               `pulumi:"dnsNames,optional"`
	IpAddresses            []string               `pulumi:"ipAddresses,optional"`
	PrivateKeyPem          *string                `pulumi:"privateKeyPem,optional" provider:"secret"`
	PrivateKeyPemWo        *string                `pulumi:"privateKeyPemWo,optional" provider:"secret"`
	PrivateKeyPemWoVersion *int                   `pulumi:"privateKeyPemWoVersion,optional"`
	SetAuthorityKeyId      *bool                  `pulumi:"setAuthorityKeyId,optional"`
	Subject                *SelfSignedCertSubject `pulumi:"subject,optional"`
	Uris                   []string               `pulumi:"uris,optional"`
}

// SelfSignedCertState is what the state holds; a write-only key never gets there.
type SelfSignedCertState struct {
	CertificateState
	DnsNames               []string               `pulumi:"dnsNames,optional"`
	IpAddresses            []string               `pulumi:"ipAddresses,optional"`
	KeyAlgorithm           string                 `pulumi:"keyAlgorithm"`
	PrivateKeyPem          *string                `pulumi:"privateKeyPem,optional" provider:"secret"`
	PrivateKeyPemWo        *string                `pulumi:"privateKeyPemWo,optional" provider:"secret"`
	PrivateKeyPemWoVersion *int                   `pulumi:"privateKeyPemWoVersion,optional"`
	SetAuthorityKeyId      bool                   `pulumi:"setAuthorityKeyId"`
	Subject                *SelfSignedCertSubject `pulumi:"subject,optional"`
	Uris                   []string               `pulumi:"uris,optional"`
}

// Annotate names the resource.
func (r *SelfSignedCert) Annotate(a infer.Annotator) {
	a.SetToken("index/selfSignedCert", "SelfSignedCert")
	a.Describe(&r, "Creates a self-signed TLS certificate in PEM format.")
}

// WireDependencies says that a new renewal time leaves the certificate as it is.
func (*SelfSignedCert) WireDependencies(f infer.FieldSelector, args *SelfSignedCertArgs, state *SelfSignedCertState) {
	made := []infer.InputField{
		f.InputField(&args.AllowedUses).Computed(), f.InputField(&args.ValidityPeriodHours).Computed(),
		f.InputField(&args.IsCaCertificate).Computed(), f.InputField(&args.MaxPathLength).Computed(),
		f.InputField(&args.SetSubjectKeyId).Computed(), f.InputField(&args.DnsNames).Computed(),
		f.InputField(&args.IpAddresses).Computed(), f.InputField(&args.PrivateKeyPem).Computed(),
		f.InputField(&args.PrivateKeyPemWoVersion).Computed(), f.InputField(&args.SetAuthorityKeyId).Computed(),
		f.InputField(&args.Subject).Computed(), f.InputField(&args.Uris).Computed(),
	}
	f.OutputField(&state.CertPem).DependsOn(made...)
	f.OutputField(&state.KeyAlgorithm).DependsOn(made...)
	f.OutputField(&state.ValidityStartTime).DependsOn(made...)
	f.OutputField(&state.ValidityEndTime).DependsOn(made...)
}

// Check refuses what cannot be issued.
func (*SelfSignedCert) Check(
	ctx context.Context, req infer.CheckRequest,
) (infer.CheckResponse[SelfSignedCertArgs], error) {
	args, failures, err := infer.DefaultCheck[SelfSignedCertArgs](ctx, req.NewInputs)
	c := checker{inputs: req.NewInputs, failures: failures}
	args.CertificateArgs.check(&c)
	c.oneKey("privateKeyPem")
	c.names(args.IpAddresses, args.Uris)
	return infer.CheckResponse[SelfSignedCertArgs]{Inputs: args, Failures: c.failures}, err
}

// Create issues the certificate.
func (*SelfSignedCert) Create(
	_ context.Context, req infer.CreateRequest[SelfSignedCertArgs],
) (infer.CreateResponse[SelfSignedCertState], error) {
	in := req.Inputs
	state := SelfSignedCertState{
		CertificateState: in.state(), DnsNames: in.DnsNames, IpAddresses: in.IpAddresses,
		PrivateKeyPem: in.PrivateKeyPem, PrivateKeyPemWoVersion: in.PrivateKeyPemWoVersion,
		SetAuthorityKeyId: value(in.SetAuthorityKeyId, false), Subject: in.Subject, Uris: in.Uris,
	}
	failed := func(err error) (infer.CreateResponse[SelfSignedCertState], error) {
		return infer.CreateResponse[SelfSignedCertState]{}, err
	}
	if req.DryRun {
		return infer.CreateResponse[SelfSignedCertState]{Output: state}, nil
	}
	key, err := parseKey(value(in.PrivateKeyPem, value(in.PrivateKeyPemWo, "")))
	if err != nil {
		return failed(err)
	}
	if state.KeyAlgorithm, err = algorithmOf(key.Public()); err != nil {
		return failed(err)
	}
	template := &x509.Certificate{DNSNames: in.DnsNames}
	var c checker
	if template.IPAddresses, template.URIs = parseNames(in.IpAddresses, in.Uris, c.fail); len(c.failures) > 0 {
		return failed(c.err())
	}
	if in.Subject != nil {
		template.Subject = in.Subject.name()
	}
	if state.SetAuthorityKeyId {
		if template.AuthorityKeyId, err = keyIdentifier(key.Public()); err != nil {
			return failed(err)
		}
	}
	id, err := state.issue(template, template, key.Public(), key)
	if err != nil {
		return failed(err)
	}
	return infer.CreateResponse[SelfSignedCertState]{ID: id, Output: state}, nil
}

// Diff replaces the certificate when it is due for renewal or what it was made from changes.
func (*SelfSignedCert) Diff(
	_ context.Context, req infer.DiffRequest[SelfSignedCertArgs, SelfSignedCertState],
) (infer.DiffResponse, error) {
	d, was, in := newDiff(), req.State, req.Inputs
	was.CertificateState.diff(d, in.CertificateArgs)
	replaces(d, "dnsNames", list(was.DnsNames), list(in.DnsNames))
	replaces(d, "ipAddresses", list(was.IpAddresses), list(in.IpAddresses))
	replaces(d, "uris", list(was.Uris), list(in.Uris))
	replaces(d, "privateKeyPem", was.PrivateKeyPem, in.PrivateKeyPem)
	replaces(d, "privateKeyPemWoVersion", was.PrivateKeyPemWoVersion, in.PrivateKeyPemWoVersion)
	replaces(d, "setAuthorityKeyId", was.SetAuthorityKeyId, value(in.SetAuthorityKeyId, false))
	replaces(d, "subject", was.Subject, in.Subject)
	return d.response(), nil
}

// Update takes over a new renewal time; nothing else is changed in place.
func (*SelfSignedCert) Update(
	_ context.Context, req infer.UpdateRequest[SelfSignedCertArgs, SelfSignedCertState],
) (infer.UpdateResponse[SelfSignedCertState], error) {
	req.State.update(req.Inputs.CertificateArgs)
	return infer.UpdateResponse[SelfSignedCertState]{Output: req.State}, nil
}
