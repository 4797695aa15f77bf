package rest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"

	"sigs.k8s.io/yaml"
)

// Kubeconfig returns what a kubeconfig with embedded credentials says; the first cluster and user count.
func Kubeconfig(path string) (Options, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Options{}, err
	}
	var config Object
	if err := yaml.Unmarshal(text, &config); err != nil {
		return Options{}, fmt.Errorf("%s: %w", path, err)
	}
	options, err := read(config)
	if err != nil {
		return Options{}, fmt.Errorf("%s: %w", path, err)
	}
	return options, nil
}

func read(config Object) (Options, error) {
	clusters, users := Items(config, "clusters"), Items(config, "users")
	if len(clusters) == 0 || len(users) == 0 {
		return Options{}, errors.New("no cluster or no user in this kubeconfig")
	}
	server, err := url.Parse(Text(clusters[0], "cluster", "server"))
	if err != nil || server.Host == "" {
		return Options{}, errors.New("no server in this kubeconfig")
	}
	authority, err := decoded(clusters[0], "cluster", "certificate-authority-data")
	if err != nil {
		return Options{}, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return Options{}, errors.New("no certificate in certificate-authority-data")
	}
	certificate, err := decoded(users[0], "user", "client-certificate-data")
	if err != nil {
		return Options{}, err
	}
	key, err := decoded(users[0], "user", "client-key-data")
	if err != nil {
		return Options{}, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return Options{}, err
	}
	return Options{
		Server:      server.Host,
		CAs:         pool,
		Certificate: func() (*tls.Certificate, error) { return &pair, nil },
	}, nil
}

func decoded(o Object, path ...string) ([]byte, error) {
	found, err := base64.StdEncoding.DecodeString(Text(o, path...))
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("no %s in this kubeconfig", path[len(path)-1])
	}
	return found, nil
}
