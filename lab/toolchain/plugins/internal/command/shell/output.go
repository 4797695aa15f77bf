// Package shell has what local and remote commands share: streaming and keeping output, and reporting a failure.
package shell

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
)

// What of a command's output is shown while it runs.
const (
	LogStdout          = "stdout"
	LogStderr          = "stderr"
	LogStdoutAndStderr = "stdoutAndStderr"
	LogNone            = "none"
)

// Environment variables that carry the output of the previous run.
const (
	PreviousStdout = "PULUMI_COMMAND_STDOUT"
	PreviousStderr = "PULUMI_COMMAND_STDERR"
)

const (
	tailLines = 20
	tailBytes = 4096
)

// Stream keeps all that is written to it and, when it is shown, hands whole lines to the engine as they come.
type Stream struct {
	mutex sync.Mutex
	kept  bytes.Buffer
	line  bytes.Buffer
	show  func(string)
}

// CheckLogging refuses a way of logging that there is not.
func CheckLogging(logging string) error {
	switch logging {
	case "", LogStdout, LogStderr, LogStdoutAndStderr, LogNone:
		return nil
	}
	return fmt.Errorf("%q is none of %s, %s, %s, %s", logging, LogStdout, LogStderr, LogStdoutAndStderr, LogNone)
}

// Streams returns the stdout and the stderr of one run.
func Streams(ctx context.Context, logging string) (stdout, stderr *Stream) {
	show := p.GetLogger(ctx).Info
	stdout, stderr = &Stream{}, &Stream{}
	if logging == "" || logging == LogStdoutAndStderr || logging == LogStdout {
		stdout.show = show
	}
	if logging == "" || logging == LogStdoutAndStderr || logging == LogStderr {
		stderr.show = show
	}
	return stdout, stderr
}

// Write implements io.Writer.
func (s *Stream) Write(data []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.kept.Write(data)
	if s.show == nil {
		return len(data), nil
	}
	s.line.Write(data)
	for {
		whole, rest, found := bytes.Cut(s.line.Bytes(), []byte{'\n'})
		if !found {
			return len(data), nil
		}
		text := string(whole)
		s.line.Next(s.line.Len() - len(rest))
		s.show(text)
	}
}

// Close shows an unfinished last line and returns all that was written, less the last line's end.
func (s *Stream) Close() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.show != nil && s.line.Len() > 0 {
		s.show(s.line.String())
		s.line.Reset()
	}
	return strings.TrimSuffix(s.kept.String(), "\n")
}

// Failure tells how a command failed by the end of its stderr. It never quotes the command, which may hold secrets.
func Failure(err error, stderr string) error {
	tail := strings.TrimSpace(stderr)
	if len(tail) > tailBytes {
		tail = strings.ToValidUTF8(tail[len(tail)-tailBytes:], "")
	}
	if lines := strings.Split(tail, "\n"); len(lines) > tailLines {
		tail = strings.Join(lines[len(lines)-tailLines:], "\n")
	}
	if tail == "" {
		return fmt.Errorf("the command failed: %w (nothing on stderr)", err)
	}
	return fmt.Errorf("the command failed: %w:\n%s", err, tail)
}

// NewID makes an id that is unlike all others.
func NewID(name string) string {
	word := make([]byte, 8)
	rand.Read(word) //nolint:errcheck // never fails, by its documentation
	return name + hex.EncodeToString(word)
}

// Command chooses what to run on an update.
func Command(update, create *string) *string {
	if update != nil && *update != "" {
		return update
	}
	return create
}

// Or returns what a pointer points to, or another value when there is none.
func Or[T any](pointer *T, otherwise T) T {
	if pointer == nil {
		return otherwise
	}
	return *pointer
}
