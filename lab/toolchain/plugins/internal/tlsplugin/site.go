package tlsplugin

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/proxy"
)

const dialTimeout = 30 * time.Second

// fetchChain gets the certificates that a site shows, its own first.
func fetchChain(ctx context.Context, site string, verify bool, through *Proxy) ([]*x509.Certificate, error) {
	u, err := url.Parse(site)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" && u.Scheme != "tls" {
		return nil, fmt.Errorf("url: scheme %q is neither https nor tls", u.Scheme)
	}
	port := u.Port()
	if port == "" {
		if u.Scheme == "tls" {
			return nil, errors.New("url: the scheme tls needs a port")
		}
		port = "443"
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	connection, err := dial(ctx, net.JoinHostPort(u.Hostname(), port), through)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	session := tls.Client(connection, &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: !verify})
	if err := session.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", site, err)
	}
	if verified := session.ConnectionState().VerifiedChains; len(verified) > 0 {
		return verified[0], nil
	}
	return session.ConnectionState().PeerCertificates, nil
}

// dial connects through the proxy that the configuration or the environment names.
func dial(ctx context.Context, address string, through *Proxy) (net.Conn, error) {
	var via *url.URL
	var err error
	if through != nil && through.URL != nil {
		if via, err = url.Parse(*through.URL); err != nil {
			return nil, fmt.Errorf("proxy.url: %w", err)
		}
		if through.Username != nil {
			via.User = url.UserPassword(*through.Username, value(through.Password, ""))
		}
	} else if through == nil || value(through.FromEnv, true) {
		request := &http.Request{URL: &url.URL{Scheme: "https", Host: address}}
		if via, err = http.ProxyFromEnvironment(request); err != nil {
			return nil, err
		}
	}
	var plain net.Dialer
	if via == nil {
		return plain.DialContext(ctx, "tcp", address)
	}
	if via.Scheme == "socks5" {
		dialer, err := proxy.FromURL(via, &plain)
		if err != nil {
			return nil, err
		}
		return dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	}
	return dialConnect(ctx, via, address)
}

func dialConnect(ctx context.Context, via *url.URL, address string) (net.Conn, error) {
	port := via.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[via.Scheme]
	}
	if port == "" {
		return nil, fmt.Errorf("proxy: scheme %q is none of http, https, socks5", via.Scheme)
	}
	var plain net.Dialer
	connection, err := plain.DialContext(ctx, "tcp", net.JoinHostPort(via.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	if via.Scheme == "https" {
		connection = tls.Client(connection, &tls.Config{ServerName: via.Hostname()})
	}
	request := &http.Request{
		Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{},
	}
	if via.User != nil {
		password, _ := via.User.Password()
		word := base64.StdEncoding.EncodeToString([]byte(via.User.Username() + ":" + password))
		request.Header.Set("Proxy-Authorization", "Basic "+word)
	}
	if err := request.Write(connection); err != nil {
		return nil, errors.Join(fmt.Errorf("proxy: %w", err), connection.Close())
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), request)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("proxy: %w", err), connection.Close())
	}
	return connection, nil
}
