// Package log writes a machine's journal: one line a message, to the console and to var/log/messages below its root.
package log

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// File is where the journal lies below the machine's root; Older holds the lines before those.
const (
	File  = "var/log/messages"
	Older = File + ".1"
	limit = 4 << 20
)

var (
	mutex sync.Mutex
	root  string
)

// Open names the root of the machine's file tree. Before it, lines go to the console only.
func Open(directory string) error {
	mutex.Lock()
	defer mutex.Unlock()
	root = directory
	return os.MkdirAll(filepath.Dir(filepath.Join(root, File)), 0o755)
}

// Say writes one line for a unit: `2026-11-21T10:00:00Z UNIT: text`.
func Say(unit, format string, values ...any) {
	text := strings.ReplaceAll(strings.TrimSpace(fmt.Sprintf(format, values...)), "\n", " | ")
	line := fmt.Sprintf("%s %s: %s\n", time.Now().UTC().Format(time.RFC3339), unit, text)
	mutex.Lock()
	defer mutex.Unlock()
	fmt.Fprint(os.Stdout, line)
	if root == "" {
		return
	}
	if err := write(line); err != nil {
		fmt.Fprintf(os.Stdout, "journal: %v\n", err)
	}
}

// write opens the file for every line: several processes of a machine write to it, and any of them may put it aside.
func write(line string) error {
	path := filepath.Join(root, File)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString(line); err != nil {
		return err
	}
	if info, err := file.Stat(); err != nil || info.Size() < limit {
		return err
	}
	return os.Rename(path, filepath.Join(root, Older))
}
