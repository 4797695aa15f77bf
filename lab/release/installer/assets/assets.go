// Package data takes the place of the installer's package of the same name: its assets come from a zip archive that is
// appended to the executable, as a release build carries them inside, so that one build serves every boot image.
package data

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"os"
)

// Assets contains the installer's data files.
var Assets http.FileSystem = appended{}

type appended struct{}

// Open reads one asset. The archive is opened anew for each, since most commands need one file of it at most.
func (appended) Open(name string) (http.File, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, err
	}
	file, err := http.FS(archive).Open(name)
	if err != nil {
		archive.Close()
		return nil, err
	}
	information, err := file.Stat()
	if err != nil || information.IsDir() {
		return &open{File: file, archive: archive}, err
	}
	content, err := io.ReadAll(file)
	if err != nil {
		archive.Close()
		return nil, err
	}
	return &open{File: file, archive: archive, content: bytes.NewReader(content)}, nil
}

// open is a file of the archive that can seek, which a compressed one cannot by itself.
type open struct {
	http.File
	archive *zip.ReadCloser
	content *bytes.Reader
}

func (o *open) Read(into []byte) (int, error) {
	if o.content == nil {
		return o.File.Read(into)
	}
	return o.content.Read(into)
}

func (o *open) Seek(offset int64, whence int) (int64, error) {
	if o.content == nil {
		return 0, fs.ErrInvalid
	}
	return o.content.Seek(offset, whence)
}

func (o *open) Close() error {
	o.File.Close()
	return o.archive.Close()
}
