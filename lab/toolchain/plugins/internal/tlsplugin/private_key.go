package tlsplugin

import (
	"context"
	"fmt"

	"github.com/pulumi/pulumi-go-provider/infer"
)

// PrivateKey is tls:index/privateKey:PrivateKey.
type PrivateKey struct{}

// PrivateKeyArgs are its inputs.
type PrivateKeyArgs struct {
	Algorithm  string  `pulumi:"algorithm"`
	EcdsaCurve *string `pulumi:"ecdsaCurve,optional"`
	RsaBits    *int    `pulumi:"rsaBits,optional"`
}

// PrivateKeyState is what the state holds.
type PrivateKeyState struct {
	Algorithm                  string `pulumi:"algorithm"`
	EcdsaCurve                 string `pulumi:"ecdsaCurve"`
	RsaBits                    int    `pulumi:"rsaBits"`
	PrivateKeyOpenssh          string `pulumi:"privateKeyOpenssh" provider:"secret"`
	PrivateKeyPem              string `pulumi:"privateKeyPem" provider:"secret"`
	PrivateKeyPemPkcs8         string `pulumi:"privateKeyPemPkcs8" provider:"secret"`
	PublicKeyFingerprintMd5    string `pulumi:"publicKeyFingerprintMd5"`
	PublicKeyFingerprintSha256 string `pulumi:"publicKeyFingerprintSha256"`
	PublicKeyOpenssh           string `pulumi:"publicKeyOpenssh"`
	PublicKeyPem               string `pulumi:"publicKeyPem"`
}

// Annotate names the resource.
func (r *PrivateKey) Annotate(a infer.Annotator) {
	a.SetToken("index/privateKey", "PrivateKey")
	a.Describe(&r, "Creates a PEM (and OpenSSH) formatted private key.")
}

// Check refuses what cannot be generated.
func (*PrivateKey) Check(
	ctx context.Context, req infer.CheckRequest,
) (infer.CheckResponse[PrivateKeyArgs], error) {
	args, failures, err := infer.DefaultCheck[PrivateKeyArgs](ctx, req.NewInputs)
	c := checker{inputs: req.NewInputs, failures: failures}
	c.oneOf("algorithm", args.Algorithm, []string{algorithmRSA, algorithmECDSA, algorithmED25519})
	c.oneOf("ecdsaCurve", value(args.EcdsaCurve, defaultCurve), []string{"P224", "P256", "P384", "P521"})
	if args.RsaBits != nil && *args.RsaBits < 1024 {
		c.fail("rsaBits", "an RSA key has 1024 bits at least")
	}
	return infer.CheckResponse[PrivateKeyArgs]{Inputs: args, Failures: c.failures}, err
}

// Create generates the key.
func (*PrivateKey) Create(
	_ context.Context, req infer.CreateRequest[PrivateKeyArgs],
) (infer.CreateResponse[PrivateKeyState], error) {
	state := PrivateKeyState{
		Algorithm:  req.Inputs.Algorithm,
		EcdsaCurve: value(req.Inputs.EcdsaCurve, defaultCurve),
		RsaBits:    value(req.Inputs.RsaBits, defaultRSABits),
	}
	if req.DryRun {
		return infer.CreateResponse[PrivateKeyState]{Output: state}, nil
	}
	key, err := generateKey(state.Algorithm, state.EcdsaCurve, state.RsaBits)
	if err != nil {
		return infer.CreateResponse[PrivateKeyState]{}, fmt.Errorf("generate a private key: %w", err)
	}
	if state.PrivateKeyPem, state.PrivateKeyPemPkcs8, err = encodeKey(key); err != nil {
		return infer.CreateResponse[PrivateKeyState]{}, err
	}
	public, err := encodePublic(key.Public())
	if err != nil {
		return infer.CreateResponse[PrivateKeyState]{}, err
	}
	if public.supported {
		if state.PrivateKeyOpenssh, err = encodeOpenSSH(key); err != nil {
			return infer.CreateResponse[PrivateKeyState]{}, err
		}
	}
	state.PublicKeyPem, state.PublicKeyOpenssh = public.pem, public.openssh
	state.PublicKeyFingerprintMd5, state.PublicKeyFingerprintSha256 = public.md5, public.sha256
	return infer.CreateResponse[PrivateKeyState]{ID: digest(public.pem), Output: state}, nil
}

// Diff replaces the key when what it was made from changes.
func (*PrivateKey) Diff(
	_ context.Context, req infer.DiffRequest[PrivateKeyArgs, PrivateKeyState],
) (infer.DiffResponse, error) {
	d := newDiff()
	replaces(d, "algorithm", req.State.Algorithm, req.Inputs.Algorithm)
	replaces(d, "ecdsaCurve", req.State.EcdsaCurve, value(req.Inputs.EcdsaCurve, defaultCurve))
	replaces(d, "rsaBits", req.State.RsaBits, value(req.Inputs.RsaBits, defaultRSABits))
	return d.response(), nil
}
