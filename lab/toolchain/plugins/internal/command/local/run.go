package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gobwas/glob"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/archive"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/asset"

	"github.com/okd-libvirt/toolchain/plugins/internal/command/shell"
)

// graceToEnd is how long a cancelled command may take to end by itself.
const graceToEnd = 10 * time.Second

func run(ctx context.Context, command string, in RunInputs, previous *RunOutputs) (RunOutputs, error) {
	interpreter := in.Interpreter
	if len(interpreter) == 0 {
		interpreter = []string{"/bin/sh", "-c"}
	}
	argv := append(append([]string{}, interpreter...), command)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// A group of its own, so that a cancelled command takes its children along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = graceToEnd
	cmd.Dir = shell.Or(in.Dir, "")
	if cmd.Dir != "" {
		if info, err := os.Stat(cmd.Dir); err != nil || !info.IsDir() {
			return RunOutputs{}, fmt.Errorf("dir: %q is no directory", cmd.Dir)
		}
	}
	cmd.Env = os.Environ()
	if previous != nil && shell.Or(in.AddPreviousOutputInEnv, true) {
		cmd.Env = append(cmd.Env, shell.PreviousStdout+"="+previous.Stdout, shell.PreviousStderr+"="+previous.Stderr)
	}
	for name, value := range in.Environment {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if in.Stdin != nil {
		cmd.Stdin = strings.NewReader(*in.Stdin)
	}
	stdout, stderr := shell.Streams(ctx, string(shell.Or(in.Logging, "")))
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = errors.Join(err, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
	}
	out := RunOutputs{Stdout: stdout.Close(), Stderr: stderr.Close()}
	if err != nil {
		return out, shell.Failure(err, out.Stderr)
	}
	return out, collect(&out, cmd.Dir, in)
}

// collect reads the files that the command was asked for.
func collect(out *RunOutputs, dir string, in RunInputs) error {
	if in.AssetPaths != nil {
		assets, err := matching(dir, in.AssetPaths)
		if err != nil {
			return fmt.Errorf("assetPaths: %w", err)
		}
		out.Assets = make(map[string]types.AssetOrArchive, len(assets))
		for path, member := range assets {
			out.Assets[path] = types.AssetOrArchive{Asset: member}
		}
	}
	if in.ArchivePaths != nil {
		assets, err := matching(dir, in.ArchivePaths)
		if err != nil {
			return fmt.Errorf("archivePaths: %w", err)
		}
		members := make(map[string]any, len(assets))
		for path, member := range assets {
			members[path] = member
		}
		if out.Archive, err = archive.FromAssets(members); err != nil {
			return fmt.Errorf("archivePaths: %w", err)
		}
	}
	return nil
}

// matching finds the files under dir that the rules, taken in order, include. Keys are relative to dir.
func matching(dir string, rules []string) (map[string]*resource.Asset, error) {
	if dir == "" {
		dir = "."
	}
	patterns := make([]glob.Glob, len(rules))
	for n, rule := range rules {
		pattern, err := glob.Compile(strings.TrimPrefix(rule, "!"), '/')
		if err != nil {
			return nil, fmt.Errorf("%q: %w", rule, err)
		}
		patterns[n] = pattern
	}
	found := map[string]*resource.Asset{}
	return found, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		included := false
		for n, pattern := range patterns {
			if pattern.Match(relative) {
				included = !strings.HasPrefix(rules[n], "!")
			}
		}
		if included {
			found[relative], err = asset.FromPath(path)
		}
		return err
	})
}
