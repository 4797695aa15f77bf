package api

import (
	"bytes"
	"log"
)

type sayer func(format string, args ...any)

// Write drops what load balancers' checks leave behind: they open a connection and say nothing.
func (s sayer) Write(text []byte) (int, error) {
	if !bytes.Contains(text, []byte("TLS handshake error")) {
		s("%s", bytes.TrimSpace(text))
	}
	return len(text), nil
}

func quietLog(say func(format string, args ...any)) *log.Logger {
	return log.New(sayer(say), "", 0)
}
