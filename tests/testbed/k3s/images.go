package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// importImages loads the image archives of the agent's images folder, now and whenever one appears or changes.
func (n *node) importImages(stopped <-chan struct{}) {
	folder := n.agent("images")
	_ = os.MkdirAll(folder, 0o755)
	loaded, seen := map[string]string{}, map[string]string{}
	for first := true; ; first = false {
		for name, state := range archives(folder) {
			settled := first || seen[name] == state
			seen[name] = state
			if settled && loaded[name] != state {
				loaded[name] = state
				n.importImage(name)
			}
		}
		select {
		case <-stopped:
			return
		case <-time.After(400 * time.Millisecond):
		}
	}
}

func archives(folder string) map[string]string {
	result := map[string]string{}
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		name := entry.Name()
		facts, err := entry.Info()
		if err != nil || strings.HasPrefix(name, ".") {
			continue
		}
		for _, suffix := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst"} {
			if strings.HasSuffix(name, suffix) {
				result[filepath.Join(folder, name)] = fmt.Sprint(facts.Size(), facts.ModTime().UnixNano())
			}
		}
	}
	return result
}

func (n *node) importImage(name string) {
	info("Importing images from %s", name)
	begun := time.Now()
	if err := n.importArchive(name); err != nil {
		warning("Unable to import %s: %v", name, err)
		return
	}
	info("Imported images from %s in %.1fs", name, time.Since(begun).Seconds())
}

func (n *node) importArchive(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	var archive io.Reader = file
	switch {
	case strings.HasSuffix(name, ".tar.zst"):
		unpacked, err := zstd.NewReader(file)
		if err != nil {
			return err
		}
		defer unpacked.Close()
		archive = unpacked
	case !strings.HasSuffix(name, ".tar"):
		if archive, err = gzip.NewReader(file); err != nil {
			return err
		}
	}
	var out bytes.Buffer
	args := []string{"-a", containerdSocket, "-n", "k8s.io", "images", "import", "--snapshotter", n.snapshotter, "-"}
	if err := run(archive, &out, filepath.Join(n.bin, "ctr"), "ctr", args...); err != nil {
		return fmt.Errorf("%v: %s", err, strings.TrimSpace(out.String()))
	}
	return nil
}
