package store

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A member that is down is complained about several times a second: once in a while is enough.
const quiet = time.Minute

func logger(say func(format string, args ...any)) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "raft", Level: hclog.Warn, Output: &lines{say: say, said: map[string]time.Time{}}, DisableTime: true,
	})
}

type lines struct {
	say   func(format string, args ...any)
	mutex sync.Mutex
	said  map[string]time.Time
}

// Write passes a message on, unless one that begins alike was passed lately.
func (l *lines) Write(text []byte) (int, error) {
	line := string(bytes.TrimSpace(text))
	// "[WARN]  raft: failed to contact: server-id=b time=2.5s": the names stay, the measures go.
	alike, _, _ := strings.Cut(line, " time=")
	alike, _, _ = strings.Cut(alike, " error=")
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if now := time.Now(); now.Sub(l.said[alike]) > quiet {
		if len(l.said) > 200 {
			clear(l.said)
		}
		l.said[alike] = now
		l.say("%s", line)
	}
	return len(text), nil
}
