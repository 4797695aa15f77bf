// Ignition-validate reads ignition configs the way CoreOS does when it boots, and is stricter about them: warnings and
// unknown keys are errors too.
//
// usage: ignition-validate FILE...
package main

import (
	"fmt"
	"os"

	"github.com/coreos/ignition/v2/config"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: ignition-validate FILE...")
		os.Exit(2)
	}
	failed := false
	for _, path := range os.Args[1:] {
		content, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = true
			continue
		}
		parsed, report, err := config.Parse(content)
		for _, entry := range report.Entries {
			fmt.Fprintf(os.Stderr, "%s: %s\n", path, entry)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
		}
		if err != nil || len(report.Entries) > 0 {
			failed = true
			continue
		}
		fmt.Printf("%s: valid (%d files, %d units)\n", path, len(parsed.Storage.Files), len(parsed.Systemd.Units))
	}
	if failed {
		os.Exit(1)
	}
}
