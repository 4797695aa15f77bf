// Cmd runs one API server and its member of the store, as a configuration file says: for tests.
//
// usage: cmd CONFIG.json
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"okd-libvirt/lab/node/internal/api"
	"okd-libvirt/lab/node/internal/store"
)

type configuration struct {
	Dir, ID, Address, Members string
	Bootstrap                 bool
	HeartbeatMillis           int
	PatienceMillis            int
	Compact                   uint64
	// Certificate and Key serve the API and speak to the other members; Authority signed all of them, and the clients'.
	Certificate, Key, Authority string
	// Join names the members that this one takes in once it leads.
	Join []store.Member
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file string) error {
	var c configuration
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(c.Authority)
	if err != nil {
		return err
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(pem)
	say := func(format string, args ...any) {
		fmt.Printf("%s %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
	}
	objects, err := store.Open(store.Options{Dir: c.Dir, ID: c.ID, Address: c.Members, Bootstrap: c.Bootstrap, Log: say,
		Heartbeat: time.Duration(c.HeartbeatMillis) * time.Millisecond, Compact: c.Compact,
		Patience: time.Duration(c.PatienceMillis) * time.Millisecond,
		TLS:      &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: authorities, ClientCAs: authorities}})
	if err != nil {
		return err
	}
	go join(ctx, objects, c.Join, say)
	go leave(ctx, objects, c.ID, say)
	server, err := api.New(api.Options{Store: objects, Address: c.Address, Certificates: []tls.Certificate{pair},
		ClientCAs: authorities, Log: say, Delay: time.Second})
	if err != nil {
		return err
	}
	return errors.Join(server.Run(ctx), objects.Close())
}

func join(ctx context.Context, objects *store.Store, members []store.Member, say func(string, ...any)) {
	for _, member := range members {
		for ctx.Err() == nil {
			err := objects.AddMember(ctx, member.ID, member.Address)
			if err == nil {
				say("member %s joined", member.ID)
				break
			}
			say("member %s: %v", member.ID, err)
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// leave gives up the membership when SIGUSR1 comes.
func leave(ctx context.Context, objects *store.Store, id string, say func(string, ...any)) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	<-asked
	if err := objects.RemoveMember(ctx, id); err != nil {
		say("leaving: %v", err)
		return
	}
	say("member %s left", id)
}
