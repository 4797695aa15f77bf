package tlsplugin

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"
)

// noPathLength stands for a chain of any length.
const noPathLength = -1

var keyUsages = map[string]x509.KeyUsage{
	"digital_signature":  x509.KeyUsageDigitalSignature,
	"content_commitment": x509.KeyUsageContentCommitment,
	"key_encipherment":   x509.KeyUsageKeyEncipherment,
	"data_encipherment":  x509.KeyUsageDataEncipherment,
	"key_agreement":      x509.KeyUsageKeyAgreement,
	"cert_signing":       x509.KeyUsageCertSign,
	"crl_signing":        x509.KeyUsageCRLSign,
	"encipher_only":      x509.KeyUsageEncipherOnly,
	"decipher_only":      x509.KeyUsageDecipherOnly,
}

var extendedKeyUsages = map[string]x509.ExtKeyUsage{
	"any_extended":                      x509.ExtKeyUsageAny,
	"server_auth":                       x509.ExtKeyUsageServerAuth,
	"client_auth":                       x509.ExtKeyUsageClientAuth,
	"code_signing":                      x509.ExtKeyUsageCodeSigning,
	"email_protection":                  x509.ExtKeyUsageEmailProtection,
	"ipsec_end_system":                  x509.ExtKeyUsageIPSECEndSystem,
	"ipsec_tunnel":                      x509.ExtKeyUsageIPSECTunnel,
	"ipsec_user":                        x509.ExtKeyUsageIPSECUser,
	"timestamping":                      x509.ExtKeyUsageTimeStamping,
	"ocsp_signing":                      x509.ExtKeyUsageOCSPSigning,
	"microsoft_server_gated_crypto":     x509.ExtKeyUsageMicrosoftServerGatedCrypto,
	"netscape_server_gated_crypto":      x509.ExtKeyUsageNetscapeServerGatedCrypto,
	"microsoft_commercial_code_signing": x509.ExtKeyUsageMicrosoftCommercialCodeSigning,
	"microsoft_kernel_code_signing":     x509.ExtKeyUsageMicrosoftKernelCodeSigning,
}

// CertificateArgs are the inputs that both kinds of certificates have.
type CertificateArgs struct {
	AllowedUses         []string `pulumi:"allowedUses"`
	ValidityPeriodHours int      `pulumi:"validityPeriodHours"`
	EarlyRenewalHours   *int     `pulumi:"earlyRenewalHours,optional"`
	IsCaCertificate     *bool    `pulumi:"isCaCertificate,optional"`
	MaxPathLength       *int     `pulumi:"maxPathLength,optional"`
	SetSubjectKeyId     *bool    `pulumi:"setSubjectKeyId,optional"`
}

// CertificateState is the state that both kinds of certificates have.
type CertificateState struct {
	AllowedUses         []string `pulumi:"allowedUses"`
	ValidityPeriodHours int      `pulumi:"validityPeriodHours"`
	EarlyRenewalHours   int      `pulumi:"earlyRenewalHours"`
	IsCaCertificate     bool     `pulumi:"isCaCertificate"`
	MaxPathLength       int      `pulumi:"maxPathLength"`
	SetSubjectKeyId     bool     `pulumi:"setSubjectKeyId"`
	CertPem             string   `pulumi:"certPem"`
	ReadyForRenewal     bool     `pulumi:"readyForRenewal"`
	ValidityStartTime   string   `pulumi:"validityStartTime"`
	ValidityEndTime     string   `pulumi:"validityEndTime"`
}

func (a CertificateArgs) state() CertificateState {
	return CertificateState{
		AllowedUses:         a.AllowedUses,
		ValidityPeriodHours: a.ValidityPeriodHours,
		EarlyRenewalHours:   value(a.EarlyRenewalHours, 0),
		IsCaCertificate:     value(a.IsCaCertificate, false),
		MaxPathLength:       value(a.MaxPathLength, noPathLength),
		SetSubjectKeyId:     value(a.SetSubjectKeyId, false),
	}
}

func (a CertificateArgs) check(c *checker) {
	names := slices.Sorted(maps.Keys(keyUsages))
	names = append(names, slices.Sorted(maps.Keys(extendedKeyUsages))...)
	for _, use := range a.AllowedUses {
		c.oneOf("allowedUses", use, names)
	}
	c.notNegative("validityPeriodHours", a.ValidityPeriodHours)
	c.notNegative("earlyRenewalHours", value(a.EarlyRenewalHours, 0))
	if value(a.MaxPathLength, 0) < noPathLength {
		c.fail("maxPathLength", "%d is less than -1", *a.MaxPathLength)
	}
}

func (s CertificateState) diff(d diff, a CertificateArgs) {
	after := a.state()
	replaces(d, "allowedUses", list(s.AllowedUses), list(after.AllowedUses))
	replaces(d, "validityPeriodHours", s.ValidityPeriodHours, after.ValidityPeriodHours)
	replaces(d, "isCaCertificate", s.IsCaCertificate, after.IsCaCertificate)
	replaces(d, "maxPathLength", s.MaxPathLength, after.MaxPathLength)
	replaces(d, "setSubjectKeyId", s.SetSubjectKeyId, after.SetSubjectKeyId)
	updates(d, "earlyRenewalHours", s.EarlyRenewalHours, after.EarlyRenewalHours)
	replaces(d, "readyForRenewal", false, s.due(after.EarlyRenewalHours))
}

// due tells whether the certificate's end, less the hours of early renewal, has come.
func (s CertificateState) due(earlyHours int) bool {
	end, err := time.Parse(time.RFC3339, s.ValidityEndTime)
	if err != nil {
		return true
	}
	return !time.Now().Before(end.Add(-time.Duration(earlyHours) * time.Hour))
}

func (s *CertificateState) update(a CertificateArgs) {
	s.EarlyRenewalHours = value(a.EarlyRenewalHours, 0)
	s.ReadyForRenewal = s.due(s.EarlyRenewalHours)
}

// issue fills in what all certificates have in common, signs, and returns the certificate's serial number.
func (s *CertificateState) issue(
	template, parent *x509.Certificate, subject crypto.PublicKey, signer crypto.Signer,
) (string, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return "", err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().UTC().Truncate(time.Second)
	template.NotAfter = template.NotBefore.Add(time.Duration(s.ValidityPeriodHours) * time.Hour)
	template.BasicConstraintsValid = true
	if s.IsCaCertificate {
		template.IsCA = true
		template.MaxPathLen = s.MaxPathLength
		template.MaxPathLenZero = s.MaxPathLength == 0
	}
	for _, use := range s.AllowedUses {
		if usage, ok := keyUsages[use]; ok {
			template.KeyUsage |= usage
		} else {
			template.ExtKeyUsage = append(template.ExtKeyUsage, extendedKeyUsages[use])
		}
	}
	if s.SetSubjectKeyId {
		if template.SubjectKeyId, err = keyIdentifier(subject); err != nil {
			return "", err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, subject, signer)
	if err != nil {
		return "", fmt.Errorf("sign the certificate: %w", err)
	}
	s.CertPem = encodePEM("CERTIFICATE", der)
	s.ValidityStartTime = template.NotBefore.Format(time.RFC3339)
	s.ValidityEndTime = template.NotAfter.Format(time.RFC3339)
	s.ReadyForRenewal = s.due(s.EarlyRenewalHours)
	return serial.String(), nil
}

// keyIdentifier is the SHA-1 of the public key's bits (RFC 5280, 4.2.1.2, method 1).
func keyIdentifier(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, err
	}
	sum := sha1.Sum(info.Key.RightAlign())
	return sum[:], nil
}
