package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

//go:embed coredns.yaml
var corednsManifest string

const flannelConfig = `{
  "name": "cbr0",
  "cniVersion": "0.4.0",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "isDefaultGateway": true, "hairpinMode": true,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "%s"}]]}}
  ]
}
`

// writeManifests puts what k3s ships into the folder that deployManifests watches.
func (n *node) writeManifests() error {
	name := n.server("manifests", "coredns.yaml")
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	if n.config.disabled("coredns") {
		return ignoreMissing(os.Remove(name))
	}
	filled := strings.NewReplacer("%{CLUSTER_DNS}%", n.clusterDNS, "%{CLUSTER_DOMAIN}%", n.domain)
	return writeFile(name, []byte(filled.Replace(corednsManifest)), 0o600)
}

func ignoreMissing(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// deployManifests applies each manifest, now and whenever one appears or changes; FILE.skip switches one off.
func (n *node) deployManifests(stopped <-chan struct{}) {
	applied := map[string]string{}
	for {
		names, _ := filepath.Glob(n.server("manifests", "*.y*ml"))
		for _, name := range names {
			_, skip := os.Stat(name + ".skip")
			facts, err := os.Stat(name)
			if err != nil || skip == nil {
				continue
			}
			state := fmt.Sprint(facts.Size(), facts.ModTime().UnixNano())
			if applied[name] != state && n.apply(name) {
				applied[name] = state
			}
		}
		select {
		case <-stopped:
			return
		case <-time.After(time.Second):
		}
	}
}

func (n *node) apply(name string) bool {
	var out bytes.Buffer
	args := []string{"--kubeconfig", n.server("cred", "admin.kubeconfig"), "apply", "-f", name}
	if err := run(nil, &out, filepath.Join(n.bin, "kubectl"), "kubectl", args...); err != nil {
		warning("Failed to apply %s: %v: %s", name, err, strings.TrimSpace(out.String()))
		return false
	}
	info("Applied manifest %s", name)
	return true
}

// writeFlannel stands in for flannel on one node: a bridge with the node's pod network.
func (n *node) writeFlannel(podCIDR string) {
	name := n.agent("etc", "cni", "net.d", "10-flannel.conflist")
	if err := writeFile(name, []byte(fmt.Sprintf(flannelConfig, podCIDR)), 0o600); err != nil {
		warning("cannot write %s: %v", name, err)
	}
}
