package remote

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/okd-libvirt/toolchain/plugins/internal/command/shell"
)

type wrongHostKey struct{ expected, got ssh.PublicKey }

func (w *wrongHostKey) Error() string {
	return fmt.Sprintf("the host key is %s, expected was %s: another machine answers, or it was rebuilt with another key",
		ssh.FingerprintSHA256(w.got), ssh.FingerprintSHA256(w.expected))
}

func (c Connection) config() (config *ssh.ClientConfig, closeAgent func(), err error) {
	config = &ssh.ClientConfig{User: shell.Or(c.User, defaultUser)}
	if c.HostKey == nil || *c.HostKey == "" {
		config.HostKeyCallback = ssh.InsecureIgnoreHostKey() //nolint:gosec // documented behaviour without hostKey
	} else {
		expected, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*c.HostKey))
		if err != nil {
			return nil, nil, fmt.Errorf("connection.hostKey is no public key in OpenSSH format: %w", err)
		}
		config.HostKeyAlgorithms = hostKeyAlgorithms(expected.Type())
		config.HostKeyCallback = func(_ string, _ net.Addr, got ssh.PublicKey) error {
			if got.Type() != expected.Type() || string(got.Marshal()) != string(expected.Marshal()) {
				return &wrongHostKey{expected, got}
			}
			return nil
		}
	}
	closeAgent = func() {}
	// One method serves both kinds of keys, because a client tries each method once.
	var signers []func() ([]ssh.Signer, error)
	if c.PrivateKey != nil && *c.PrivateKey != "" {
		signer, err := parseSigner(*c.PrivateKey, c.PrivateKeyPassword)
		if err != nil {
			return nil, nil, err
		}
		signers = append(signers, func() ([]ssh.Signer, error) { return []ssh.Signer{signer}, nil })
	}
	if socket := shell.Or(c.AgentSocketPath, os.Getenv("SSH_AUTH_SOCK")); socket != "" {
		wire, err := net.Dial("unix", socket)
		if err == nil {
			closeAgent = func() { _ = wire.Close() }
			signers = append(signers, agent.NewClient(wire).Signers)
		} else if c.AgentSocketPath != nil {
			return nil, nil, fmt.Errorf("connection.agentSocketPath: %w", err)
		}
	}
	if len(signers) > 0 {
		config.Auth = append(config.Auth, ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
			var all []ssh.Signer
			for _, source := range signers {
				some, err := source()
				if err != nil {
					return nil, err
				}
				all = append(all, some...)
			}
			return all, nil
		}))
	}
	if c.Password != nil {
		password := *c.Password
		config.Auth = append(config.Auth, ssh.Password(password), ssh.KeyboardInteractive(
			func(_, _ string, questions []string, _ []bool) ([]string, error) {
				answers := make([]string, len(questions))
				for n := range answers {
					answers[n] = password
				}
				return answers, nil
			}))
	}
	return config, closeAgent, nil
}

// hostKeyAlgorithms makes the server show the kind of key that is expected.
func hostKeyAlgorithms(kind string) []string {
	if kind == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return []string{kind}
}

func parseSigner(key string, password *string) (ssh.Signer, error) {
	var signer ssh.Signer
	var err error
	if password != nil && *password != "" {
		signer, err = ssh.ParsePrivateKeyWithPassphrase([]byte(key), []byte(*password))
	} else {
		signer, err = ssh.ParsePrivateKey([]byte(key))
	}
	if err != nil {
		return nil, fmt.Errorf("connection.privateKey: %w", err)
	}
	return signer, nil
}
