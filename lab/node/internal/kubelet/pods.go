package kubelet

import (
	"context"
	"encoding/base64"
	"time"

	"okd-libvirt/lab/node/internal/cluster/pki"
	"okd-libvirt/lab/node/internal/cluster/rest"
	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	routerPods   = rest.Namespaces + "/openshift-ingress/pods"
	routerSecret = rest.Namespaces + "/openshift-ingress/secrets/router-certs-default"
	podsEvery    = 3 * time.Second
)

// pods runs what pods of this node stand for: a router while there is one. An API that does not answer changes nothing.
func (k *Kubelet) pods(ctx context.Context) {
	runs := false
	for ctx.Err() == nil {
		found, err := k.api.List(ctx, routerPods, "fieldSelector", "spec.nodeName="+k.config.Hostname)
		if err == nil {
			wanted := len(found) > 0
			if wanted {
				k.routerCertificate(ctx)
			}
			if wanted != runs {
				log.Say("kubelet", "router pod: %s", map[bool]string{true: "started", false: "stopped"}[wanted])
			}
			k.config.Router(wanted, k.routerPair)
			runs = wanted
		}
		sleep(ctx, podsEvery)
	}
}

// routerCertificate reads the certificate that routers serve with; without, they serve HTTP only until it is there.
func (k *Kubelet) routerCertificate(ctx context.Context) {
	if k.routerPair != nil {
		return
	}
	secret, err := k.api.Get(ctx, routerSecret)
	if text := message(err); text != k.routerProblem {
		log.Say("kubelet", "the routers' certificate: %s", orWell(text))
		k.routerProblem = text
	}
	if err != nil {
		return
	}
	certificate, err := base64.StdEncoding.DecodeString(rest.Text(secret, "data", "tls.crt"))
	if err != nil {
		return
	}
	key, err := base64.StdEncoding.DecodeString(rest.Text(secret, "data", "tls.key"))
	if err != nil {
		return
	}
	pair, err := pki.Pair{Certificate: certificate, Key: key}.TLS()
	if err != nil {
		log.Say("kubelet", "the routers' certificate: %v", err)
		return
	}
	k.routerPair = &pair
}
