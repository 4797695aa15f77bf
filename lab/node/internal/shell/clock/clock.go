// Package clock asks time servers what time it is and sets the machine's clock.
package clock

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"syscall"
	"time"

	"okd-libvirt/lab/node/internal/shell/log"
)

const (
	unit = "chronyd"
	// since1900 are the seconds from the protocol's epoch to Unix's.
	since1900 = 2208988800
	limit     = 2 * time.Second
	tries     = 3
	// Less than this is the jitter of an emulated machine.
	tolerated = 200 * time.Millisecond
	between   = time.Minute
	wrong     = -72 * time.Hour
)

// Clock sets a machine's clock by its time servers; with the fault "clock" it is three days slow and stays so.
type Clock struct {
	Servers []string
	Fault   string
}

// Set sets the clock once. A machine without an answer goes on with the clock that it has.
func (c Clock) Set(ctx context.Context) {
	offset, server, err := c.ask(ctx)
	if c.Fault == "clock" {
		offset, server, err = offset+wrong, "nobody: three days slow on request (miniature.fault=clock)", nil
	}
	if err != nil {
		log.Say(unit, "no time server answers: %v", err)
		return
	}
	if offset.Abs() < tolerated {
		return
	}
	now := syscall.NsecToTimeval(time.Now().Add(offset).UnixNano())
	if err := syscall.Settimeofday(&now); err != nil {
		log.Say(unit, "the clock cannot be set: %v", err)
		return
	}
	log.Say(unit, "System clock was stepped by %.3f seconds, as told by %s", offset.Seconds(), server)
}

// Keep sets the clock every minute until ctx ends.
func (c Clock) Keep(ctx context.Context) {
	if len(c.Servers) == 0 || c.Fault == "clock" {
		return
	}
	ticker := time.NewTicker(between)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.Set(ctx)
		}
	}
}

func (c Clock) ask(ctx context.Context) (time.Duration, string, error) {
	err := fmt.Errorf("none is known")
	for range tries {
		for _, server := range c.Servers {
			var offset time.Duration
			if offset, err = Offset(ctx, net.JoinHostPort(server, "123")); err == nil {
				return offset, server, nil
			}
		}
	}
	return 0, "", err
}

// Offset returns how far a server's clock is ahead of this machine's: one SNTP question.
func Offset(ctx context.Context, address string) (time.Duration, error) {
	connection, err := (&net.Dialer{Timeout: limit}).DialContext(ctx, "udp", address)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(limit)); err != nil {
		return 0, err
	}
	question := make([]byte, 48)
	question[0] = 0x23
	before := time.Now()
	if _, err := connection.Write(question); err != nil {
		return 0, err
	}
	answer := make([]byte, 512)
	length, err := connection.Read(answer)
	if err != nil {
		return 0, err
	}
	trip := time.Since(before)
	if length < 48 || answer[0]&7 != 4 || answer[1] == 0 || answer[1] > 15 {
		return 0, fmt.Errorf("%s is not synchronised", address)
	}
	seconds := int64(binary.BigEndian.Uint32(answer[40:])) - since1900
	fraction := int64(binary.BigEndian.Uint32(answer[44:])) * int64(time.Second) >> 32
	return time.Unix(seconds, fraction).Sub(before.Add(trip / 2)), nil
}
