package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The payload lies behind the program in its own file: the files' bytes, a JSON index, the index' length, the magic.
const payloadMagic = "BEEYK3S1"

type payloadFile struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
	Link   string `json:"link"`
}

type payloadIndex struct {
	Sha256 string        `json:"sha256"`
	Files  []payloadFile `json:"files"`
}

// extract unpacks the payload to <data-dir>/data/<sha256>/bin if it is not there yet, and returns that folder.
func extract(dataDir string) (string, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer self.Close()
	index, err := readIndex(self)
	if err != nil {
		return "", err
	}
	home := filepath.Join(dataDir, "data", index.Sha256)
	if _, err := os.Stat(home); err == nil {
		return filepath.Join(home, "bin"), nil
	}
	info("Preparing data dir %s", home)
	part := fmt.Sprintf("%s-tmp%d", home, os.Getpid())
	defer os.RemoveAll(part)
	if err := unpack(self, index, filepath.Join(part, "bin")); err != nil {
		return "", err
	}
	if err := os.Rename(part, home); err != nil && !os.IsExist(err) {
		return "", err
	}
	return filepath.Join(home, "bin"), relink(filepath.Join(dataDir, "data", "current"), home)
}

func relink(name, target string) error {
	fresh := fmt.Sprintf("%s-tmp%d", name, os.Getpid())
	if err := os.Symlink(target, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, name)
}

func readIndex(self *os.File) (payloadIndex, error) {
	var index payloadIndex
	tail := make([]byte, 8+len(payloadMagic))
	if _, err := self.Seek(int64(-len(tail)), io.SeekEnd); err != nil {
		return index, err
	}
	if _, err := io.ReadFull(self, tail); err != nil {
		return index, err
	}
	if string(tail[8:]) != payloadMagic {
		return index, fmt.Errorf("this k3s holds no payload, or it was cut off")
	}
	size := int64(binary.BigEndian.Uint64(tail[:8]))
	if _, err := self.Seek(-size-int64(len(tail)), io.SeekEnd); err != nil {
		return index, err
	}
	return index, json.NewDecoder(io.LimitReader(self, size)).Decode(&index)
}

func unpack(self *os.File, index payloadIndex, bin string) error {
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	for _, file := range index.Files {
		name := filepath.Join(bin, filepath.Base(file.Name))
		if file.Link != "" {
			if err := os.Symlink(file.Link, name); err != nil {
				return err
			}
			continue
		}
		if err := unpackFile(self, file, name); err != nil {
			return err
		}
	}
	return nil
}

func unpackFile(self *os.File, file payloadFile, name string) error {
	if _, err := self.Seek(file.Offset, io.SeekStart); err != nil {
		return err
	}
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, self, file.Size)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}
