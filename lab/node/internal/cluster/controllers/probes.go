package controllers

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"okd-libvirt/lab/node/internal/cluster/credentials"
	"okd-libvirt/lab/node/internal/cluster/pki"
	"okd-libvirt/lab/node/internal/cluster/rest"
)

const (
	probeEvery = 4 * time.Second
	probeLimit = 3 * time.Second
)

// probe is what a node answered last.
type probe struct {
	// known is false until the node has been asked once.
	known                               bool
	api, machineConfig, member, ingress bool
}

// probes asks the nodes' ports in the background: a dead node holds up nobody.
type probes struct {
	credentials *credentials.Credentials
	mutex       sync.Mutex
	asked       map[string]*asked
}

type asked struct {
	stop context.CancelFunc
	last probe
	key  string
}

func newProbes(c *credentials.Credentials) *probes {
	return &probes{credentials: c, asked: map[string]*asked{}}
}

func (p *probes) stop() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for name, one := range p.asked {
		one.stop()
		delete(p.asked, name)
	}
}

// look returns the last answers, and asks exactly the nodes of the snapshot from now on.
func (p *probes) look(ctx context.Context, now *snapshot) map[string]probe {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	found := map[string]probe{}
	for _, node := range now.nodes {
		name, address := rest.Name(node), Address(node)
		key := fmt.Sprint(address, ControlPlane(node))
		one := p.asked[name]
		if one != nil && one.key != key {
			one.stop()
			one = nil
		}
		if one == nil && address != "" {
			// It outlives the round.
			background, stop := context.WithCancel(context.WithoutCancel(ctx))
			one = &asked{stop: stop, key: key}
			p.asked[name] = one
			go p.ask(background, one, address, ControlPlane(node))
		}
		if one != nil {
			found[name] = one.last
		}
	}
	for name, one := range p.asked {
		if _, wanted := found[name]; !wanted {
			one.stop()
			delete(p.asked, name)
		}
	}
	return found
}

func (p *probes) ask(ctx context.Context, into *asked, address string, controlPlane bool) {
	api := client("api-int."+p.credentials.Domain, p.credentials.ServerCAs)
	machineConfig := client("api-int."+p.credentials.Domain, p.credentials.RootCA)
	ingress := &http.Client{Timeout: probeLimit}
	member, _ := p.credentials.Member("probe", address)
	for ctx.Err() == nil {
		last := probe{known: true}
		var asked sync.WaitGroup
		asked.Go(func() { last.ingress = Healthy(ctx, ingress, "http://"+address+":80/healthz") })
		if controlPlane {
			asked.Go(func() { last.api = Healthy(ctx, api, "https://"+address+":6443/readyz") })
			asked.Go(func() { last.machineConfig = Healthy(ctx, machineConfig, "https://"+address+":22623/healthz") })
			asked.Go(func() { last.member = into.last.member || shakes(ctx, member, address) })
		}
		asked.Wait()
		p.mutex.Lock()
		into.last = last
		p.mutex.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(probeEvery):
		}
	}
	api.CloseIdleConnections()
	machineConfig.CloseIdleConnections()
	ingress.CloseIdleConnections()
}

func client(name string, cas []byte) *http.Client {
	return &http.Client{Timeout: probeLimit, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{ServerName: name, RootCAs: pki.Pool(cas), MinVersion: tls.VersionTLS12},
	}}
}

// Healthy tells whether a URL answers 200.
func Healthy(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := client.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// shakes tells whether a member of the store listens there; it is asked until it does once.
func shakes(ctx context.Context, config *tls.Config, address string) bool {
	if config == nil {
		return false
	}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: probeLimit}, Config: config}
	connection, err := dialer.DialContext(ctx, "tcp", address+":2380")
	if err != nil {
		return false
	}
	connection.Close()
	return true
}
