package ignite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/ignition/v2/config/v3_6_experimental/types"

	"okd-libvirt/lab/node/internal/shell/log"
)

// originals keeps, below the root, files as they were before something was appended to them: whoever is interrupted and
// starts again must not append twice.
const originals = "var/lib/ignition/originals"

// users are those that a miniature machine knows.
var users = map[string]int{"root": 0, "core": 1000}

// counted is how many things a config brought.
type counted struct {
	Files       int `json:"files"`
	Directories int `json:"directories"`
	Links       int `json:"links"`
	Units       int `json:"units"`
	Keys        int `json:"keys"`
}

func apply(ctx context.Context, fetcher *fetcher, whole types.Config, root string) (counted, error) {
	var count counted
	storage := whole.Storage
	if n := len(storage.Disks) + len(storage.Filesystems) + len(storage.Luks) + len(storage.Raid); n > 0 {
		log.Say(unit, "%d disks, filesystems, LUKS volumes and arrays are left alone by a miniature machine", n)
	}
	for _, directory := range storage.Directories {
		if err := makeDirectory(root, directory); err != nil {
			return count, err
		}
		count.Directories++
	}
	for _, file := range storage.Files {
		if err := writeFile(ctx, fetcher, root, file); err != nil {
			return count, fmt.Errorf("%s: %w", file.Path, err)
		}
		count.Files++
	}
	for _, link := range storage.Links {
		if err := makeLink(root, link); err != nil {
			return count, fmt.Errorf("%s: %w", link.Path, err)
		}
		count.Links++
	}
	for _, one := range whole.Systemd.Units {
		if err := writeUnit(root, one); err != nil {
			return count, fmt.Errorf("%s: %w", one.Name, err)
		}
		count.Units++
	}
	var err error
	count.Keys, err = writeKeys(root, whole.Passwd.Users)
	return count, err
}

func makeDirectory(root string, directory types.Directory) error {
	path := filepath.Join(root, directory.Path)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(path, mode(directory.Mode, 0o755)); err != nil {
		return err
	}
	return own(path, directory.Node)
}

func writeFile(ctx context.Context, fetcher *fetcher, root string, file types.File) error {
	path := filepath.Join(root, file.Path)
	content, err := fetcher.get(ctx, file.Contents, anyType)
	if err != nil {
		return err
	}
	if file.Contents.Source == nil {
		if content, err = original(root, file.Path); err != nil {
			return err
		}
	}
	for _, part := range file.Append {
		more, err := fetcher.get(ctx, part, anyType)
		if err != nil {
			return err
		}
		content = append(content, more...)
	}
	if err := place(path, content, mode(file.Mode, 0o644)); err != nil {
		return err
	}
	return own(path, file.Node)
}

// original returns the file as the image brought it, and remembers that.
func original(root, path string) ([]byte, error) {
	kept := filepath.Join(root, originals, path)
	content, err := os.ReadFile(kept)
	if !errors.Is(err, fs.ErrNotExist) {
		return content, err
	}
	content, err = os.ReadFile(filepath.Join(root, path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return content, place(kept, content, 0o600)
}

func makeLink(root string, link types.Link) error {
	path, target := filepath.Join(root, link.Path), text(link.Target)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if link.Hard != nil && *link.Hard {
		return os.Link(filepath.Join(root, target), path)
	}
	return os.Symlink(target, path)
}

func writeUnit(root string, one types.Unit) error {
	units := filepath.Join(root, "etc/systemd/system")
	path := filepath.Join(units, one.Name)
	if one.Mask != nil && *one.Mask {
		return makeLink(root, types.Link{
			Node:          types.Node{Path: "/etc/systemd/system/" + one.Name},
			LinkEmbedded1: types.LinkEmbedded1{Target: pointer("/dev/null")},
		})
	}
	if one.Contents != nil {
		if err := place(path, []byte(*one.Contents), 0o644); err != nil {
			return err
		}
	}
	for _, dropin := range one.Dropins {
		if dropin.Contents == nil {
			continue
		}
		if err := place(filepath.Join(path+".d", dropin.Name), []byte(*dropin.Contents), 0o644); err != nil {
			return err
		}
	}
	if one.Enabled == nil || !*one.Enabled {
		return nil
	}
	return makeLink(root, types.Link{
		Node:          types.Node{Path: "/etc/systemd/system/multi-user.target.wants/" + one.Name},
		LinkEmbedded1: types.LinkEmbedded1{Target: pointer("../" + one.Name)},
	})
}

// writeKeys lets the keys of `core` in; other users are unknown here.
func writeKeys(root string, given []types.PasswdUser) (int, error) {
	var keys bytes.Buffer
	count := 0
	for _, user := range given {
		if user.Name != "core" {
			log.Say(unit, "user %s is unknown to a miniature machine", user.Name)
			continue
		}
		for _, key := range user.SSHAuthorizedKeys {
			keys.WriteString(strings.TrimSpace(string(key)) + "\n")
			count++
		}
	}
	if count == 0 {
		return 0, nil
	}
	path := filepath.Join(root, "home/core/.ssh/authorized_keys")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, err
	}
	return count, place(path, keys.Bytes(), 0o600)
}

// place writes a file whole or not at all.
func place(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	fresh := path + ".ignition"
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		return err
	}
	if err := os.Chmod(fresh, mode); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

func mode(given *int, usual fs.FileMode) fs.FileMode {
	if given == nil {
		return usual
	}
	return fs.FileMode(*given & 0o777)
}

func own(path string, node types.Node) error {
	if os.Geteuid() != 0 {
		return nil
	}
	id := func(number *int, name *string) (int, error) {
		if number != nil {
			return *number, nil
		}
		if found, known := users[text(name)]; known || text(name) == "" {
			return found, nil
		}
		return 0, Invalid{fmt.Errorf("%s: owner %s is unknown to a miniature machine", node.Path, text(name))}
	}
	user, err := id(node.User.ID, node.User.Name)
	if err != nil {
		return err
	}
	group, err := id(node.Group.ID, node.Group.Name)
	if err != nil {
		return err
	}
	return os.Lchown(path, user, group)
}

func pointer(value string) *string { return &value }
