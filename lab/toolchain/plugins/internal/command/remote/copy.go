package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pkg/sftp"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"

	"github.com/okd-libvirt/toolchain/plugins/internal/command/shell"
)

// CopyToRemote is command:remote:CopyToRemote.
type CopyToRemote struct{}

// CopyToRemoteInputs are its inputs.
type CopyToRemoteInputs struct {
	Connection *Connection          `pulumi:"connection" provider:"secret"`
	RemotePath string               `pulumi:"remotePath"`
	Source     types.AssetOrArchive `pulumi:"source"`
	Triggers   []any                `pulumi:"triggers,optional" provider:"replaceOnChanges"`
}

// CopyToRemoteOutputs are its state.
type CopyToRemoteOutputs struct{ CopyToRemoteInputs }

// Annotate describes the resource.
func (c *CopyToRemote) Annotate(a infer.Annotator) {
	a.Describe(&c, "Copy an asset or archive to a remote host. Archives are not unpacked; directories are copied "+
		"recursively.")
}

// Check refuses sources that cannot be copied.
func (*CopyToRemote) Check(
	ctx context.Context, req infer.CheckRequest,
) (infer.CheckResponse[CopyToRemoteInputs], error) {
	in, failures, err := infer.DefaultCheck[CopyToRemoteInputs](ctx, req.NewInputs)
	asset, archive := in.Source.Asset, in.Source.Archive
	if (asset != nil && asset.IsURI()) || (archive != nil && !archive.IsPath()) {
		failures = append(failures, p.CheckFailure{
			Property: "source", Reason: "must be a FileAsset, a StringAsset or a FileArchive",
		})
	}
	return infer.CheckResponse[CopyToRemoteInputs]{Inputs: in, Failures: failures}, err
}

// Create copies the source.
func (*CopyToRemote) Create(
	ctx context.Context, req infer.CreateRequest[CopyToRemoteInputs],
) (infer.CreateResponse[CopyToRemoteOutputs], error) {
	response := infer.CreateResponse[CopyToRemoteOutputs]{
		ID: shell.NewID(req.Name), Output: CopyToRemoteOutputs{req.Inputs},
	}
	if req.DryRun {
		return response, nil
	}
	return response, copySource(ctx, req.Inputs)
}

// Update copies again when the source or the place of the copy changed.
func (*CopyToRemote) Update(
	ctx context.Context, req infer.UpdateRequest[CopyToRemoteInputs, CopyToRemoteOutputs],
) (infer.UpdateResponse[CopyToRemoteOutputs], error) {
	response := infer.UpdateResponse[CopyToRemoteOutputs]{Output: CopyToRemoteOutputs{req.Inputs}}
	same := hash(req.State.Source) == hash(req.Inputs.Source) && req.State.RemotePath == req.Inputs.RemotePath
	if req.DryRun || same {
		return response, nil
	}
	return response, copySource(ctx, req.Inputs)
}

func hash(source types.AssetOrArchive) string {
	if source.Asset != nil {
		return source.Asset.Hash
	}
	if source.Archive != nil {
		return source.Archive.Hash
	}
	return ""
}

// CopyFile is command:remote:CopyFile, which CopyToRemote supersedes.
type CopyFile struct{}

// CopyFileInputs are its inputs.
type CopyFileInputs struct {
	Connection *Connection `pulumi:"connection" provider:"secret"`
	LocalPath  string      `pulumi:"localPath"`
	RemotePath string      `pulumi:"remotePath"`
	Triggers   []any       `pulumi:"triggers,optional"`
}

// CopyFileOutputs are its state.
type CopyFileOutputs struct{ CopyFileInputs }

// Annotate describes the resource.
func (c *CopyFile) Annotate(a infer.Annotator) {
	a.Describe(&c, "Copy a local file to a remote host.")
	a.Deprecate(&c, "This resource is deprecated and will be removed in a future release. "+
		"Please use the CopyToRemote resource instead.")
}

// Create copies the file.
func (*CopyFile) Create(
	ctx context.Context, req infer.CreateRequest[CopyFileInputs],
) (infer.CreateResponse[CopyFileOutputs], error) {
	response := infer.CreateResponse[CopyFileOutputs]{ID: shell.NewID(req.Name), Output: CopyFileOutputs{req.Inputs}}
	if req.DryRun {
		return response, nil
	}
	in := req.Inputs
	return response, withSFTP(ctx, *in.Connection, func(remote *sftp.Client) error {
		return copyPath(remote, in.LocalPath, in.RemotePath)
	})
}

func copySource(ctx context.Context, in CopyToRemoteInputs) error {
	return withSFTP(ctx, *in.Connection, func(remote *sftp.Client) error {
		switch source := in.Source; {
		case source.Archive != nil:
			return copyPath(remote, source.Archive.Path, in.RemotePath)
		case source.Asset != nil && source.Asset.IsText():
			return copyText(remote, source.Asset.Text, in.RemotePath)
		case source.Asset != nil:
			return copyPath(remote, source.Asset.Path, in.RemotePath)
		}
		return errors.New("source is empty")
	})
}

func withSFTP(ctx context.Context, c Connection, use func(*sftp.Client) error) error {
	client, err := connect(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, client.Close)
	defer stop()
	remote, err := sftp.NewClient(client.Client)
	if err != nil {
		return fmt.Errorf("start SFTP: %w", err)
	}
	return errors.Join(use(remote), remote.Close())
}

func copyText(remote *sftp.Client, text, target string) error {
	if info, err := remote.Stat(target); err == nil && info.IsDir() {
		return fmt.Errorf("remotePath: %q is a directory; a StringAsset has no name, so give the file's whole path", target)
	}
	return writeRemote(remote, strings.NewReader(text), target)
}

func copyPath(remote *sftp.Client, source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	existing, err := remote.Stat(target)
	switch {
	case err == nil && existing.IsDir():
		target = path.Join(target, filepath.Base(source))
	case err == nil && info.IsDir():
		return fmt.Errorf("remotePath: %q is a file, the source %q a directory", target, source)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("remotePath: %w", err)
	}
	if !info.IsDir() {
		return copyOne(remote, source, target)
	}
	return filepath.WalkDir(source, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		place := path.Join(target, filepath.ToSlash(relative))
		if entry.IsDir() {
			return remote.MkdirAll(place)
		}
		return copyOne(remote, name, place)
	})
}

func copyOne(remote *sftp.Client, source, target string) error {
	file, err := os.Open(source)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	return writeRemote(remote, file, target)
}

func writeRemote(remote *sftp.Client, content io.Reader, target string) error {
	if err := remote.MkdirAll(path.Dir(target)); err != nil {
		return fmt.Errorf("make %s: %w", path.Dir(target), err)
	}
	file, err := remote.Create(target)
	if err != nil {
		return fmt.Errorf("write %s: %w", target, err)
	}
	_, err = file.ReadFrom(content)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", target, err)
	}
	return nil
}
