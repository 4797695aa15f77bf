// Package shell is a miniature machine's SSH server: a login for core by public key, and a short list of commands.
//
// Owns the connections. Does not own what the commands do (commands.go) nor the journal (package log).
package shell

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"

	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	unit = "sshd"
	user = "core"
	// keys are the only way in; hostKey is made at the first start.
	keys    = "home/core/.ssh/authorized_keys"
	hostKey = "etc/ssh/ssh_host_ed25519_key"
	// A client that neither logs in nor asks for anything is let go.
	patience = time.Minute
)

// Options say which machine is reached and where.
type Options struct {
	Root    string
	Address string // with a port
	Power   string // program that is called with `poweroff` or `reboot`; without one both are refused
}

// Run answers until ctx ends.
func Run(ctx context.Context, options Options) error {
	signer, err := identity(filepath.Join(options.Root, hostKey))
	if err != nil {
		return err
	}
	settings := &ssh.ServerConfig{PublicKeyCallback: authorized(filepath.Join(options.Root, keys)), MaxAuthTries: 6}
	settings.AddHostKey(signer)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", options.Address)
	if err != nil {
		return err
	}
	log.Say(unit, "Server listening on %s, host key %s", options.Address, ssh.FingerprintSHA256(signer.PublicKey()))
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	for {
		connection, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go serve(ctx, connection, settings, options)
	}
}

// authorized reads the keys at every login: they may be there before the server or after.
func authorized(path string) func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
	return func(client ssh.ConnMetadata, given ssh.PublicKey) (*ssh.Permissions, error) {
		if client.User() != user {
			return nil, fmt.Errorf("only %s logs in to a miniature machine", user)
		}
		rest, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for len(rest) > 0 {
			key, _, _, more, err := ssh.ParseAuthorizedKey(rest)
			if err != nil {
				break
			}
			if string(key.Marshal()) == string(given.Marshal()) {
				return &ssh.Permissions{}, nil
			}
			rest = more
		}
		return nil, errors.New("key is not authorized")
	}
}

func identity(path string) (ssh.Signer, error) {
	content, err := os.ReadFile(path)
	if err == nil {
		return ssh.ParsePrivateKey(content)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, err
	}
	if err := keep(path, pem.EncodeToMemory(block)); err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(key)
}

// keep writes a file that survives a power cut as soon as it has its name: clients remember the key.
func keep(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func serve(ctx context.Context, connection net.Conn, settings *ssh.ServerConfig, options Options) {
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		return
	}
	client, channels, requests, err := ssh.NewServerConn(connection, settings)
	if err != nil {
		// A check that only opens the port says nothing and is not worth a line.
		if !errors.As(err, new(net.Error)) && !isEnd(err) {
			log.Say(unit, "login from %s refused: %v", connection.RemoteAddr(), err)
		}
		return
	}
	defer client.Close()
	log.Say(unit, "Accepted publickey for %s from %s", client.User(), client.RemoteAddr())
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		if offered.ChannelType() != "session" {
			if err := offered.Reject(ssh.UnknownChannelType, "miniature: sessions only"); err != nil {
				return
			}
			continue
		}
		channel, asked, err := offered.Accept()
		if err != nil {
			return
		}
		if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
			return
		}
		go session(ctx, channel, asked, options)
	}
}

// session runs the one command that a session asks for.
func session(ctx context.Context, channel ssh.Channel, asked <-chan *ssh.Request, options Options) {
	defer channel.Close()
	for request := range asked {
		var given struct{ Command string }
		switch request.Type {
		case "exec":
			if err := ssh.Unmarshal(request.Payload, &given); err != nil {
				answer(request, false)
				return
			}
		case "shell":
			given.Command = "an interactive shell"
		default:
			answer(request, request.Type == "env" || request.Type == "pty-req")
			continue
		}
		answer(request, true)
		code := run(ctx, given.Command, channel, channel.Stderr(), options)
		status := ssh.Marshal(struct{ Code uint32 }{uint32(code)})
		if _, err := channel.SendRequest("exit-status", false, status); err != nil {
			log.Say(unit, "exit status not delivered: %v", err)
		}
		return
	}
}

func answer(request *ssh.Request, ok bool) {
	if !request.WantReply {
		return
	}
	if err := request.Reply(ok, nil); err != nil {
		log.Say(unit, "request %s not answered: %v", request.Type, err)
	}
}
