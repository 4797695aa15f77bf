package shell

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"okd-libvirt/lab/node/internal/shell/log"
)

const notFound = 127

// soon lets the answer reach the client before the machine goes.
const soon = 500 * time.Millisecond

func isEnd(err error) bool { return errors.Is(err, io.EOF) }

// run does one command line and returns its exit code.
func run(ctx context.Context, line string, out, problems io.Writer, options Options) int {
	if first, rest, both := strings.Cut(line, " && "); both {
		if code := run(ctx, first, out, problems, options); code != 0 {
			return code
		}
		return run(ctx, rest, out, problems, options)
	}
	words := strings.Fields(line)
	if len(words) > 0 && words[0] == "sudo" {
		words = slices.DeleteFunc(words[1:], func(word string) bool { return word == "-n" })
	}
	code, err := 0, error(nil)
	switch command := strings.Join(words, " "); {
	case command == "true":
	case command == "hostname":
		err = hostname(out)
	case command == "uptime":
		err = uptime(out)
	case command == "date +%s":
		_, err = fmt.Fprintln(out, time.Now().Unix())
	case command == "cat /etc/os-release":
		err = copyFile(out, filepath.Join(options.Root, "etc/os-release"))
	case command == "systemctl poweroff" || command == "systemctl reboot":
		err = power(ctx, words[1], 0, options)
	case len(words) == 3 && words[0] == "shutdown":
		err = shutdown(ctx, words[1], words[2], options)
	case strings.HasPrefix(command, "openssl x509 -noout -enddate -in ") && len(words) == 6:
		err = endDate(out, filepath.Join(options.Root, words[5]))
	case len(words) > 0 && words[0] == "journalctl":
		err = journal(out, words[1:], options.Root)
	default:
		code, err = notFound, fmt.Errorf("%s: not found (a miniature machine knows a few commands only)", line)
	}
	if err != nil {
		fmt.Fprintf(problems, "miniature: %v\n", err)
		code = max(code, 1)
	}
	return code
}

func hostname(out io.Writer) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, name)
	return err
}

func uptime(out io.Writer) error {
	content, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return err
	}
	seconds, err := time.ParseDuration(strings.Fields(string(content))[0] + "s")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, " %s up %s\n", time.Now().UTC().Format(time.TimeOnly), seconds.Truncate(time.Second))
	return err
}

// endDate prints the end of the first certificate in a file, as openssl does.
func endDate(out io.Writer, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return fmt.Errorf("%s: no PEM block", path)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "notAfter=%s GMT\n", certificate.NotAfter.UTC().Format("Jan _2 15:04:05 2006"))
	return err
}

func copyFile(out io.Writer, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	return err
}

// shutdown understands `-h|-r|-P now|+MINUTES`.
func shutdown(ctx context.Context, how, when string, options Options) error {
	what, known := map[string]string{"-h": "poweroff", "-P": "poweroff", "-r": "reboot"}[how]
	if !known {
		return fmt.Errorf("shutdown: unknown option %s", how)
	}
	if when == "now" {
		when = "+0"
	}
	minutes, err := strconv.ParseUint(strings.TrimPrefix(when, "+"), 10, 16)
	if err != nil || !strings.HasPrefix(when, "+") {
		return fmt.Errorf("shutdown: neither now nor +MINUTES: %s", when)
	}
	return power(ctx, what, time.Duration(minutes)*time.Minute, options)
}

func power(ctx context.Context, what string, after time.Duration, options Options) error {
	if options.Power == "" {
		return fmt.Errorf("%s: this is a process, not a machine (no --power program)", what)
	}
	log.Say("systemd-logind", "The system will %s in %s", what, after)
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(after + soon):
		}
		if err := exec.Command(options.Power, what).Run(); err != nil {
			log.Say("systemd-logind", "%s %s: %v", options.Power, what, err)
		}
	}()
	return nil
}

// journal prints the machine's journal; of all flags only those that choose lines matter.
func journal(out io.Writer, words []string, root string) error {
	units, last, err := journalFlags(words)
	quiet := slices.Contains(words, "-q") || slices.Contains(words, "--quiet")
	if err != nil {
		return err
	}
	var lines []string
	for _, name := range []string{log.Older, log.File} {
		found, err := chosen(filepath.Join(root, name), units)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		lines = append(lines, found...)
	}
	if last >= 0 && last < len(lines) {
		lines = lines[len(lines)-last:]
	}
	if len(lines) == 0 {
		if !quiet {
			_, err = io.WriteString(out, "-- No entries --\n")
		}
		return err
	}
	_, err = io.WriteString(out, strings.Join(lines, "\n")+"\n")
	return err
}

func journalFlags(words []string) (units []string, last int, err error) {
	last = -1
	for i := 0; i < len(words); i++ {
		flag, value, given := strings.Cut(words[i], "=")
		if len(flag) > 2 && flag[0] == '-' && flag[1] != '-' && strings.ContainsRune("unopSUtg", rune(flag[1])) {
			flag, value, given = words[i][:2], words[i][2:], true
		}
		valued := strings.Contains(" -u --unit -n --lines -o --output -p --priority -S --since -U --until -t -g ", " "+flag+" ")
		if valued && !given && i+1 < len(words) {
			i++
			value = words[i]
		}
		value = strings.Trim(value, `'"`)
		switch flag {
		case "-u", "--unit":
			units = append(units, strings.TrimSuffix(value, ".service"))
		case "-n", "--lines":
			if last, err = strconv.Atoi(value); err != nil {
				return nil, 0, fmt.Errorf("journalctl: -n %s: not a number", value)
			}
		}
	}
	return units, last, nil
}

// chosen returns a journal file's lines of the given units, or all.
func chosen(path string, units []string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var lines []string
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		_, rest, _ := strings.Cut(scanner.Text(), " ")
		name, _, _ := strings.Cut(rest, ": ")
		if len(units) == 0 || slices.Contains(units, name) {
			lines = append(lines, scanner.Text())
		}
	}
	return lines, scanner.Err()
}
