// Miniature is everything that a miniature CoreOS machine runs besides its kernel and busybox: it applies ignition
// configs, answers SSH, and plays the machine's part in the cluster.
//
// usage: miniature ignite|shell|node FLAGS...
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// commands holds what the *_command.go files bring; each takes the words after its name.
var commands = map[string]func(context.Context, []string) error{}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		names := strings.Join(slices.Sorted(maps.Keys(commands)), "|")
		fmt.Fprintf(os.Stderr, "usage: miniature %s FLAGS...\n", names)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := commands[os.Args[1]](ctx, os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "miniature %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
