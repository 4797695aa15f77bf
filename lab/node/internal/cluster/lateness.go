package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"okd-libvirt/lab/node/internal/shell/log"
)

// Lateness is how late things are that take minutes in real clusters, each between two limits.
type Lateness struct {
	// Member is how long the bootstrap's member of the store stays after the bootstrap said that it is complete.
	Member Span
	// API is how much later than the others the third machine serves its API and machine config for the first time.
	API Span
}

// Span is a time between two limits.
type Span struct{ Least, Most time.Duration }

// Short is what an ordinary lab has: real, and soon over.
const Short = "member=2-6,api=5-10"

// ReadLateness reads "member=SECONDS-SECONDS,api=SECONDS-SECONDS"; what is not named is as in Short.
func ReadLateness(text string) (Lateness, error) {
	var found Lateness
	for _, word := range strings.Split(Short+","+text, ",") {
		name, value, _ := strings.Cut(word, "=")
		least, most, _ := strings.Cut(value, "-")
		from, err := strconv.ParseFloat(least, 64)
		if err != nil && word != "" {
			return found, fmt.Errorf("%q: not NAME=SECONDS-SECONDS", word)
		}
		to, err := strconv.ParseFloat(most, 64)
		if err != nil || to < from {
			to = from
		}
		span := Span{time.Duration(from * float64(time.Second)), time.Duration(to * float64(time.Second))}
		switch name {
		case "member":
			found.Member = span
		case "api":
			found.API = span
		case "":
		default:
			return found, fmt.Errorf("%q: neither member nor api", word)
		}
	}
	return found, nil
}

func (s Span) random() time.Duration {
	return s.Least + time.Duration(rand.Int64N(int64(s.Most-s.Least)+1))
}

// isThird tells whether bootstrap and two others were members before this one.
func (s *served) isThird() bool {
	for place, member := range s.store.Members() {
		if member.ID == s.config.Hostname {
			return place >= 3
		}
	}
	return false
}

// tarry is late with the API. Whoever leads runs the controllers, which need one beside them.
func (s *served) tarry(ctx context.Context) {
	long := s.config.Late.API.random()
	log.Say("kube-apiserver", "the third API server is late, by %s", long.Round(time.Second))
	for until := time.Now().Add(long); time.Now().Before(until) && ctx.Err() == nil; {
		s.store.HandOver()
		pause(ctx, min(time.Second, time.Until(until)))
	}
}
