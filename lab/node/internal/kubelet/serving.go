package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	stdlog "log"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"okd-libvirt/lab/node/internal/cluster/controllers"
	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	port = "10250"
	// How late a compute machine may ask for what it serves with: its Node is Ready without it.
	lateness = 6 * time.Second
)

// servingCertificate asks for what this kubelet serves with: on a compute machine some time after its Node is Ready.
func (k *Kubelet) servingCertificate(ctx context.Context) {
	if kept, err := k.read(serving); err == nil && len(kept.Certificate) == 0 && kept.Request == "" && !k.config.ControlPlane {
		sleep(ctx, rand.N(lateness))
	}
	template := &x509.CertificateRequest{
		Subject:     pkix.Name{CommonName: "system:node:" + k.config.Hostname, Organization: []string{"system:nodes"}},
		DNSNames:    []string{k.config.Hostname},
		IPAddresses: []net.IP{net.ParseIP(k.config.Address)},
	}
	found, err := k.certificateFor(ctx, k.api, serving, controllers.ServingSigner, "server auth", template)
	if err != nil {
		return
	}
	k.serving.Store(found)
}

// listen serves the kubelet's port. Nobody gets a handshake there before somebody has approved the certificate.
func (k *Kubelet) listen(ctx context.Context) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if found := k.serving.Load(); found != nil {
				return found, nil
			}
			return nil, errors.New("no serving certificate yet")
		},
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort(k.config.Address, port), config)
	if err != nil {
		log.Say("kubelet", "%v", err)
		return
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
			http.Error(answer, "Unauthorized", http.StatusUnauthorized)
		}),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          stdlog.New(io.Discard, "", 0),
	}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Say("kubelet", "%v", err)
	}
}
