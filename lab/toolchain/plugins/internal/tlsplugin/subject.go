package tlsplugin

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"

	"github.com/pulumi/pulumi-go-provider/infer"
)

var oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// SubjectFields are the parts of a distinguished name.
type SubjectFields struct {
	CommonName         *string  `pulumi:"commonName,optional"`
	Country            *string  `pulumi:"country,optional"`
	EmailAddress       *string  `pulumi:"emailAddress,optional"`
	Locality           *string  `pulumi:"locality,optional"`
	Organization       *string  `pulumi:"organization,optional"`
	OrganizationalUnit *string  `pulumi:"organizationalUnit,optional"`
	PostalCode         *string  `pulumi:"postalCode,optional"`
	Province           *string  `pulumi:"province,optional"`
	SerialNumber       *string  `pulumi:"serialNumber,optional"`
	StreetAddresses    []string `pulumi:"streetAddresses,optional"`
}

// SelfSignedCertSubject is the subject of a self-signed certificate.
type SelfSignedCertSubject struct{ SubjectFields }

// CertRequestSubject is the subject of a certificate request.
type CertRequestSubject struct{ SubjectFields }

// Annotate names the type.
func (s *SelfSignedCertSubject) Annotate(a infer.Annotator) {
	a.SetToken("index/SelfSignedCertSubject", "SelfSignedCertSubject")
}

// Annotate names the type.
func (s *CertRequestSubject) Annotate(a infer.Annotator) {
	a.SetToken("index/CertRequestSubject", "CertRequestSubject")
}

func (s SubjectFields) name() pkix.Name {
	one := func(word *string) []string {
		if word == nil || *word == "" {
			return nil
		}
		return []string{*word}
	}
	name := pkix.Name{
		CommonName: value(s.CommonName, ""), SerialNumber: value(s.SerialNumber, ""),
		Country: one(s.Country), Locality: one(s.Locality), Organization: one(s.Organization),
		OrganizationalUnit: one(s.OrganizationalUnit), PostalCode: one(s.PostalCode), Province: one(s.Province),
		StreetAddress: s.StreetAddresses,
	}
	if s.EmailAddress != nil && *s.EmailAddress != "" {
		name.ExtraNames = append(name.ExtraNames, pkix.AttributeTypeAndValue{
			Type:  oidEmailAddress,
			Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(*s.EmailAddress)},
		})
	}
	return name
}

// parseNames reads the addresses and URIs of a certificate and reports what it cannot read.
func parseNames(addresses, uris []string, report func(name, format string, arguments ...any)) ([]net.IP, []*url.URL) {
	var ips []net.IP
	for _, text := range addresses {
		ip := net.ParseIP(text)
		if ip == nil {
			report("ipAddresses", "%q is no IP address", text)
		}
		ips = append(ips, ip)
	}
	var urls []*url.URL
	for _, text := range uris {
		u, err := url.Parse(text)
		if err != nil {
			report("uris", "%q is no URI", text)
		}
		urls = append(urls, u)
	}
	return ips, urls
}
