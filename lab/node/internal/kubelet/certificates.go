package kubelet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"okd-libvirt/lab/node/internal/cluster/controllers"
	"okd-libvirt/lab/node/internal/cluster/credentials"
	"okd-libvirt/lab/node/internal/cluster/pki"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	client  = "client"
	serving = "serving"
	// A request that nobody has approved for as long is filed again: the API forgets old ones.
	stale = time.Hour
	// Members of the store know of a request a little later than the one that took it.
	lag = 10 * time.Second
)

var errGone = errors.New("the request is gone")

// kept is a certificate, or a request for one, as it outlives a reboot.
type kept struct {
	pki.Pair
	Request string    `json:"request,omitempty"`
	Filed   time.Time `json:"filed"`
}

func (k *Kubelet) path(kind string) string {
	return filepath.Join(k.config.Data, "kubelet/pki", "kubelet-"+kind+".json")
}

func (k *Kubelet) read(kind string) (found kept, err error) {
	text, err := os.ReadFile(k.path(kind))
	if errors.Is(err, os.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return kept{}, nil // A disk that lost power: it is made again.
	}
	return found, nil
}

func (k *Kubelet) write(kind string, what kept) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	if err := credentials.Write(k.path(kind), text); err != nil || len(what.Certificate) == 0 {
		return err
	}
	return credentials.Write(k.shown(kind), append(append([]byte{}, what.Certificate...), what.Key...))
}

// shown is where a machine's administrator looks for the certificate.
func (k *Kubelet) shown(kind string) string {
	name := map[string]string{client: "client", serving: "server"}[kind]
	return filepath.Join(k.config.Root, "var/lib/kubelet/pki/kubelet-"+name+"-current.pem")
}

// clientCertificate takes the certificate that is kept, or asks for one until somebody approves it.
func (k *Kubelet) clientCertificate(ctx context.Context, api *rest.Client) error {
	subject := pkix.Name{CommonName: "system:node:" + k.config.Hostname, Organization: []string{"system:nodes"}}
	template := &x509.CertificateRequest{Subject: subject}
	found, err := k.certificateFor(ctx, api, client, controllers.ClientSigner, "client auth", template)
	if err == nil {
		k.certificate.Store(found)
	}
	return err
}

func (k *Kubelet) certificateFor(
	ctx context.Context, api *rest.Client, kind, signer, usage string, template *x509.CertificateRequest,
) (*tls.Certificate, error) {
	for ctx.Err() == nil {
		have, err := k.read(kind)
		if err != nil {
			return nil, err
		}
		if have.Request == "" && len(have.Certificate) > 0 {
			if found, err := have.TLS(); err == nil && !expired(&found) {
				return &found, nil
			}
			have = kept{}
		}
		if have.Request == "" {
			k.retry(ctx, "filing the "+kind+" certificate request", func(ctx context.Context) (err error) {
				have, err = file(ctx, api, signer, usage, template)
				return err
			})
			if ctx.Err() != nil {
				break
			}
			log.Say("kubelet", "%s certificate request %s is filed; it waits for approval", kind, have.Request)
			if err := k.write(kind, have); err != nil {
				return nil, err
			}
		}
		have.Certificate, err = k.wait(ctx, api, have)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			log.Say("kubelet", "%s certificate request %s: %v", kind, have.Request, err)
			have = kept{}
			sleep(ctx, retry)
		} else {
			log.Say("kubelet", "%s certificate request %s is signed", kind, have.Request)
		}
		have.Request = ""
		if err := k.write(kind, have); err != nil {
			return nil, err
		}
	}
	return nil, ctx.Err()
}

// file makes a key and a request for it.
func file(
	ctx context.Context, api *rest.Client, signer, usage string, template *x509.CertificateRequest,
) (kept, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return kept{}, err
	}
	raw, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return kept{}, err
	}
	text, err := pki.KeyText(key)
	if err != nil {
		return kept{}, err
	}
	var suffix [4]byte
	if _, err := rand.Read(suffix[:]); err != nil {
		return kept{}, err
	}
	name := "csr-" + hex.EncodeToString(suffix[:])
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: raw})
	_, err = api.Create(ctx, rest.Requests, rest.Object{
		"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
		"metadata": rest.Object{"name": name, "generateName": "csr-"},
		"spec": rest.Object{
			"request": base64.StdEncoding.EncodeToString(block), "signerName": signer,
			"usages": []any{"digital signature", usage},
		},
	})
	if err != nil {
		api.Forget()
	}
	return kept{Pair: pki.Pair{Key: text}, Request: name, Filed: time.Now()}, err
}

// wait returns the certificate once the request is approved and signed.
func (k *Kubelet) wait(ctx context.Context, api *rest.Client, have kept) ([]byte, error) {
	said, began := "", time.Now()
	for ctx.Err() == nil {
		request, err := api.Get(ctx, rest.Requests+"/"+have.Request)
		switch {
		case rest.Refused(err, http.StatusNotFound):
			if time.Since(began) > lag {
				return nil, errGone
			}
		case err != nil:
			api.Forget()
			if err.Error() != said {
				log.Say("kubelet", "asking for %s: %v", have.Request, err)
				said = err.Error()
			}
		default:
			if text := rest.Text(request, "status", "certificate"); text != "" {
				return base64.StdEncoding.DecodeString(text)
			}
			for _, kind := range []string{"Denied", "Failed"} {
				if found := rest.Condition(request, kind); len(found) > 0 {
					return nil, fmt.Errorf("it is %s: %s", kind, rest.Text(found, "message"))
				}
			}
			if time.Since(have.Filed) > stale {
				return nil, fmt.Errorf("nobody has approved it within %v; it is filed again", stale)
			}
		}
		sleep(ctx, retry)
	}
	return nil, ctx.Err()
}

func expired(certificate *tls.Certificate) bool {
	return certificate == nil || certificate.Leaf == nil || time.Now().After(certificate.Leaf.NotAfter)
}
