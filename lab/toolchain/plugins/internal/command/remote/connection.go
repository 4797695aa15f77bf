package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"golang.org/x/crypto/ssh"

	"github.com/okd-libvirt/toolchain/plugins/internal/command/shell"
)

const (
	defaultPort           = 22
	defaultUser           = "root"
	defaultDialErrorLimit = 10
	defaultPerDialTimeout = 15

	firstPause  = time.Second
	longestWait = 5 * time.Second
	progressGap = 10 * time.Second
)

// Connection is how a host is reached. Durations are in seconds.
type Connection struct {
	AgentSocketPath    *string          `pulumi:"agentSocketPath,optional"`
	DialErrorLimit     *int             `pulumi:"dialErrorLimit,optional"`
	Host               string           `pulumi:"host"`
	HostKey            *string          `pulumi:"hostKey,optional"`
	Password           *string          `pulumi:"password,optional" provider:"secret"`
	PerDialTimeout     *int             `pulumi:"perDialTimeout,optional"`
	Port               *float64         `pulumi:"port,optional"`
	PrivateKey         *string          `pulumi:"privateKey,optional" provider:"secret"`
	PrivateKeyPassword *string          `pulumi:"privateKeyPassword,optional" provider:"secret"`
	Proxy              *ProxyConnection `pulumi:"proxy,optional"`
	User               *string          `pulumi:"user,optional"`
}

// ProxyConnection is how the host between is reached.
type ProxyConnection struct {
	AgentSocketPath    *string  `pulumi:"agentSocketPath,optional"`
	DialErrorLimit     *int     `pulumi:"dialErrorLimit,optional"`
	Host               string   `pulumi:"host"`
	HostKey            *string  `pulumi:"hostKey,optional"`
	Password           *string  `pulumi:"password,optional" provider:"secret"`
	PerDialTimeout     *int     `pulumi:"perDialTimeout,optional"`
	Port               *float64 `pulumi:"port,optional"`
	PrivateKey         *string  `pulumi:"privateKey,optional" provider:"secret"`
	PrivateKeyPassword *string  `pulumi:"privateKeyPassword,optional" provider:"secret"`
	User               *string  `pulumi:"user,optional"`
}

// Annotate sets the defaults.
func (c *Connection) Annotate(a infer.Annotator) {
	a.Describe(&c, "Instructions for how to connect to a remote endpoint.")
	a.SetDefault(&c.DialErrorLimit, defaultDialErrorLimit)
	a.SetDefault(&c.PerDialTimeout, defaultPerDialTimeout)
	a.SetDefault(&c.Port, defaultPort)
	a.SetDefault(&c.User, defaultUser)
}

// Annotate sets the defaults.
func (c *ProxyConnection) Annotate(a infer.Annotator) {
	a.Describe(&c, "Instructions for how to connect to a remote endpoint via a bastion host.")
	a.SetDefault(&c.DialErrorLimit, defaultDialErrorLimit)
	a.SetDefault(&c.PerDialTimeout, defaultPerDialTimeout)
	a.SetDefault(&c.Port, defaultPort)
	a.SetDefault(&c.User, defaultUser)
}

func (c ProxyConnection) connection() Connection {
	return Connection{
		AgentSocketPath: c.AgentSocketPath, DialErrorLimit: c.DialErrorLimit, Host: c.Host, HostKey: c.HostKey,
		Password: c.Password, PerDialTimeout: c.PerDialTimeout, Port: c.Port, PrivateKey: c.PrivateKey,
		PrivateKeyPassword: c.PrivateKeyPassword, User: c.User,
	}
}

func (c Connection) address() string {
	return net.JoinHostPort(c.Host, strconv.Itoa(int(shell.Or(c.Port, defaultPort))))
}

// client is an SSH connection together with what must be closed with it.
type client struct {
	*ssh.Client
	through *client
}

func (c *client) Close() {
	if c == nil {
		return
	}
	_ = c.Client.Close() // the other side may have closed it already
	c.through.Close()
}

// connect dials, through the proxy if there is one, until it succeeds, more attempts failed than are allowed, or an
// attempt fails in a way that no other attempt can mend.
func connect(ctx context.Context, c Connection) (*client, error) {
	var through *client
	if c.Proxy != nil {
		var err error
		if through, err = connect(ctx, c.Proxy.connection()); err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
	}
	connection, err := c.retry(ctx, through)
	if err != nil {
		through.Close()
		return nil, err
	}
	return &client{connection, through}, nil
}

func (c Connection) retry(ctx context.Context, through *client) (*ssh.Client, error) {
	config, closeAgent, err := c.config()
	if err != nil {
		return nil, err
	}
	defer closeAgent()
	limit := shell.Or(c.DialErrorLimit, defaultDialErrorLimit)
	begin, told, pause := time.Now(), time.Now(), firstPause
	for failed := 1; ; failed++ {
		connection, err := c.dial(ctx, config, through)
		if err == nil {
			return connection, nil
		}
		var wrong *wrongHostKey
		if errors.As(err, &wrong) || ctx.Err() != nil {
			return nil, fmt.Errorf("connect to %s: %w", c.address(), err)
		}
		if limit >= 0 && failed > limit {
			return nil, fmt.Errorf("connect to %s: gave up after %d attempts in %.0f s: %w",
				c.address(), failed, time.Since(begin).Seconds(), err)
		}
		if time.Since(told) > progressGap {
			told = time.Now()
			p.GetLogger(ctx).InfoStatusf("waiting for %s (%.0f s): %v", c.address(), time.Since(begin).Seconds(), err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(pause*3/2, longestWait)
	}
}

// dial makes one attempt; its time limit covers the handshake too.
func (c Connection) dial(ctx context.Context, config *ssh.ClientConfig, through *client) (*ssh.Client, error) {
	if seconds := shell.Or(c.PerDialTimeout, defaultPerDialTimeout); seconds > 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
		defer cancel()
		ctx = limited
	}
	var wire net.Conn
	var err error
	if through != nil {
		wire, err = through.DialContext(ctx, "tcp", c.address())
	} else {
		wire, err = (&net.Dialer{}).DialContext(ctx, "tcp", c.address())
	}
	if err != nil {
		return nil, err
	}
	// A connection through a proxy knows no deadlines, so a late handshake is ended by closing.
	stop := context.AfterFunc(ctx, func() { _ = wire.Close() })
	connection, channels, requests, err := ssh.NewClientConn(wire, c.address(), config)
	if !stop() {
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		_ = wire.Close() // the handshake's error says more than this one
		return nil, err
	}
	return ssh.NewClient(connection, channels, requests), nil
}
