package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"sort"
	"text/template"
	"time"

	"gopkg.in/yaml.v3"
)

const (
	containerdState  = "/run/k3s/containerd"
	containerdSocket = containerdState + "/containerd.sock"
	registriesFile   = "/etc/rancher/k3s/registries.yaml"
	pauseImage       = "docker.io/rancher/mirrored-pause:3.6"
)

// The cni section is left out without flannel: containerd then looks in /opt/cni/bin and /etc/cni/net.d.
var containerdConfig = `version = 2
root = "{{.Root}}"
state = "{{.State}}"
disabled_plugins = ["io.containerd.internal.v1.restart", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "{{.Socket}}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{{.Root}}"

[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
  stream_server_port = "10010"
  restrict_oom_score_adj = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  sandbox_image = "{{.Pause}}"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "{{.Snapshotter}}"
  disable_snapshot_annotations = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
{{if .CNIBin}}
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{{.CNIBin}}"
  conf_dir = "{{.CNIConf}}"
{{end}}{{range .Mirrors}}
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."{{.Name}}"]
  endpoint = [{{range $i, $e := .Endpoints}}{{if $i}}, {{end}}"{{$e}}"{{end}}]
{{end}}`

type mirror struct {
	Name      string
	Endpoints []string
}

type containerdFacts struct {
	Root, State, Socket, Pause, Snapshotter, CNIBin, CNIConf string
	Mirrors                                                  []mirror
}

// writeContainerdConfig renders the configuration, through the user's template where there is one.
func (n *node) writeContainerdConfig() (string, error) {
	mirrors, err := readMirrors(registriesFile)
	if err != nil {
		return "", err
	}
	root := n.agent("containerd")
	if err := os.MkdirAll(root, 0o711); err != nil {
		return "", err
	}
	n.snapshotter = snapshotter(root)
	facts := containerdFacts{
		Root: root, State: containerdState, Socket: containerdSocket, Pause: pauseImage,
		Snapshotter: n.snapshotter, Mirrors: mirrors,
	}
	if n.flannel() {
		facts.CNIBin, facts.CNIConf = n.bin, n.agent("etc", "cni", "net.d")
	}
	name := n.agent("etc", "containerd", "config.toml")
	text := `{{template "base" .}}`
	if given, err := os.ReadFile(name + ".tmpl"); err == nil {
		info("Using containerd template at %s.tmpl", name)
		text = string(given)
	}
	page := template.Must(template.New("base").Parse(containerdConfig))
	if _, err := page.New("main").Parse(text); err != nil {
		return "", fmt.Errorf("%s.tmpl: %v", name, err)
	}
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, "main", facts); err != nil {
		return "", err
	}
	return name, writeFile(name, out.Bytes(), 0o600)
}

func readMirrors(name string) ([]mirror, error) {
	data, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var content struct {
		Mirrors map[string]struct {
			Endpoint []string `yaml:"endpoint"`
		} `yaml:"mirrors"`
	}
	if err := yaml.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("%s: %v", name, err)
	}
	result := []mirror{}
	for host, entry := range content.Mirrors {
		result = append(result, mirror{host, entry.Endpoint})
	}
	sort.Slice(result, func(i, j int) bool { return result[i].Name < result[j].Name })
	return result, nil
}

// startContainerd starts the container runtime and returns when its socket answers.
func (n *node) startContainerd() error {
	config, err := n.writeContainerdConfig()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(containerdState, 0o711); err != nil {
		return err
	}
	log, err := os.OpenFile(n.agent("containerd", "containerd.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	path := "PATH=" + n.bin + ":" + envOr("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	started, err := n.spawn(log, []string{path}, "containerd", "-c", config)
	if err != nil {
		return err
	}
	return until(started, 30*time.Second, "containerd's socket", func() bool {
		conn, err := net.Dial("unix", containerdSocket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
