package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const configFile = "/etc/rancher/k3s/config.yaml"

// flags are the settings of k3s that this stand-in takes; true marks those that it also acts on.
var flags = map[string]bool{
	"flannel-backend": true, "disable-network-policy": true, "disable-kube-proxy": true, "disable": true,
	"cluster-cidr": true, "service-cidr": true, "cluster-dns": true, "cluster-domain": true,
	"service-node-port-range": true, "write-kubeconfig-mode": true, "write-kubeconfig": true, "data-dir": true,
	"https-listen-port": true, "node-name": true, "node-ip": true, "tls-san": true, "kubelet-arg": true,
	"kube-apiserver-arg": true, "token": true, "token-file": true, "node-label": true, "node-taint": true,
	"config": true, "debug": false, "log": false, "snapshotter": false, "disable-cloud-controller": false,
	"disable-helm-controller": false, "cluster-init": false, "secrets-encryption": false, "selinux": false,
	"egress-selector-mode": false, "embedded-registry": false, "protect-kernel-defaults": false,
}

var switches = map[string]bool{
	"disable-network-policy": true, "disable-kube-proxy": true, "debug": true, "disable-cloud-controller": true,
	"disable-helm-controller": true, "cluster-init": true, "secrets-encryption": true, "selinux": true,
	"embedded-registry": true, "protect-kernel-defaults": true,
}

var environment = map[string]string{
	"K3S_DATA_DIR": "data-dir", "K3S_TOKEN": "token", "K3S_TOKEN_FILE": "token-file", "K3S_NODE_NAME": "node-name",
	"K3S_KUBECONFIG_OUTPUT": "write-kubeconfig", "K3S_KUBECONFIG_MODE": "write-kubeconfig-mode",
}

// unknown is the key under which flags are kept that k3s does not have.
const unknown = "?"

// settings holds each flag's values; the last one counts where only one makes sense.
type settings map[string][]string

// loadConfig reads the configuration files, then the environment, then the command line: the later one wins.
func loadConfig(args []string) (settings, error) {
	given, err := parseArgs(args)
	if err != nil {
		return nil, err
	}
	main := given.text("config", envOr("K3S_CONFIG_FILE", configFile))
	files, _ := filepath.Glob(main + ".d/*.yaml")
	sort.Strings(files)
	result := settings{}
	for _, name := range append([]string{main}, files...) {
		if err := result.readFile(name); err != nil {
			return nil, err
		}
	}
	for variable, flag := range environment {
		if value := os.Getenv(variable); value != "" {
			result[flag] = []string{value}
		}
	}
	for flag, values := range given {
		result[flag] = values
	}
	return result, nil
}

func parseArgs(args []string) (settings, error) {
	given := settings{}
	for i := 0; i < len(args); i++ {
		name, value, inline := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if name == "c" {
			name = "config"
		}
		if _, known := flags[name]; !known || !strings.HasPrefix(args[i], "-") {
			return nil, fmt.Errorf("flag provided but not defined: %s", args[i])
		}
		if !inline && switches[name] {
			value = "true"
		} else if !inline {
			i++
			if i == len(args) {
				return nil, fmt.Errorf("flag needs an argument: --%s", name)
			}
			value = args[i]
		}
		given[name] = append(given[name], value)
	}
	return given, nil
}

func (s settings) readFile(name string) error {
	data, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	content := map[string]interface{}{}
	if err := yaml.Unmarshal(data, &content); err != nil {
		return fmt.Errorf("%s: %v", name, err)
	}
	for key, value := range content {
		flag := strings.TrimSuffix(key, "+")
		if _, known := flags[flag]; !known {
			s[unknown] = append(s[unknown], fmt.Sprintf("--%s found in %s", flag, filepath.Base(name)))
			continue
		}
		if strings.HasSuffix(key, "+") {
			s[flag] = append(s[flag], texts(value)...)
		} else {
			s[flag] = texts(value)
		}
	}
	return nil
}

func texts(value interface{}) []string {
	list, many := value.([]interface{})
	if !many {
		return []string{fmt.Sprint(value)}
	}
	result := []string{}
	for _, item := range list {
		result = append(result, fmt.Sprint(item))
	}
	return result
}

func (s settings) text(flag, otherwise string) string {
	values := s[flag]
	if len(values) == 0 || values[len(values)-1] == "" {
		return otherwise
	}
	return values[len(values)-1]
}

// list also splits values at commas, as k3s does.
func (s settings) list(flag string) []string {
	result := []string{}
	for _, value := range s[flag] {
		for _, part := range strings.Split(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				result = append(result, part)
			}
		}
	}
	return result
}

func (s settings) on(flag string) bool {
	value, _ := strconv.ParseBool(s.text(flag, "false"))
	return value
}

func (s settings) disabled(component string) bool {
	for _, name := range s.list("disable") {
		if name == component {
			return true
		}
	}
	return false
}

func (s settings) dataDir() string    { return s.text("data-dir", "/var/lib/rancher/k3s") }
func (s settings) kubeconfig() string { return s.text("write-kubeconfig", "/etc/rancher/k3s/k3s.yaml") }

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
