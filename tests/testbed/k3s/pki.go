package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// makeCertificates makes the authorities at first start and keeps every certificate of the node up to date.
func (n *node) makeCertificates() error {
	if err := os.MkdirAll(n.tls(), 0o700); err != nil {
		return err
	}
	if err := ensureServiceKey(n.tls("service.key")); err != nil {
		return err
	}
	api := []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + n.domain,
		"localhost", n.name, "127.0.0.1", n.ip, n.firstServiceIP,
	}
	loopback := []string{"127.0.0.1", "localhost"}
	masters := []string{"system:masters"}
	plan := map[string]map[string]leaf{
		"server-ca": {
			"serving-kube-apiserver": {name: "kube-apiserver", hosts: unique(append(api, n.config.list("tls-san")...))},
			"serving-kubelet":        {name: n.name, hosts: unique([]string{n.name, n.ip, "127.0.0.1"})},
		},
		"client-ca": {
			"client-admin":          {name: "system:admin", orgs: masters},
			"client-kube-apiserver": {name: "system:apiserver", orgs: masters},
			"client-controller":     {name: "system:kube-controller-manager"},
			"client-scheduler":      {name: "system:kube-scheduler"},
			"client-kube-proxy":     {name: "system:kube-proxy"},
			"client-kubelet":        {name: "system:node:" + n.name, orgs: []string{"system:nodes"}},
		},
		"request-header-ca": {"client-auth-proxy": {name: "system:auth-proxy"}},
		"etcd-ca":           {"etcd": {name: "etcd", hosts: loopback}},
	}
	for ca, leaves := range plan {
		by, err := openAuthority(n.tls(ca), "k3s-"+ca)
		if err != nil {
			return err
		}
		for file, want := range leaves {
			if err := by.ensure(n.tls(file), want); err != nil {
				return err
			}
		}
	}
	return nil
}

func unique(values []string) []string {
	seen, result := map[string]bool{}, []string{}
	for _, value := range values {
		if !seen[value] {
			seen[value] = true
			result = append(result, value)
		}
	}
	return result
}

// writeKubeconfigs writes one for people and one for each component.
func (n *node) writeKubeconfigs() error {
	mode, err := strconv.ParseUint(n.config.text("write-kubeconfig-mode", "600"), 8, 32)
	if err != nil {
		return fmt.Errorf("write-kubeconfig-mode: %v", err)
	}
	for client, file := range map[string]string{
		"client-admin": n.server("cred", "admin.kubeconfig"), "client-controller": n.server("cred", "controller.kubeconfig"),
		"client-scheduler": n.server("cred", "scheduler.kubeconfig"), "client-kubelet": n.agent("kubelet.kubeconfig"),
		"client-kube-proxy": n.agent("kubeproxy.kubeconfig"),
	} {
		if err := n.writeKubeconfig(file, client, 0o600); err != nil {
			return err
		}
	}
	if err := n.writeKubeconfig(n.config.kubeconfig(), "client-admin", os.FileMode(mode)); err != nil {
		return err
	}
	info("Wrote kubeconfig %s", n.config.kubeconfig())
	return nil
}

func (n *node) writeKubeconfig(file, client string, mode os.FileMode) error {
	encoded := []interface{}{}
	for _, name := range []string{"server-ca.crt", client + ".crt", client + ".key"} {
		data, err := os.ReadFile(n.tls(name))
		if err != nil {
			return err
		}
		encoded = append(encoded, base64.StdEncoding.EncodeToString(data))
	}
	text := fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: https://127.0.0.1:%d
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: %s
    client-key-data: %s
`, encoded[0], n.port, encoded[1], encoded[2])
	return writeFile(file, []byte(text), mode)
}

// writeTokens keeps the token of the first start, unless the configuration names one.
func (n *node) writeTokens() error {
	authority, err := os.ReadFile(n.tls("server-ca.crt"))
	if err != nil {
		return err
	}
	secret := n.config.text("token", "")
	if name := n.config.text("token-file", ""); secret == "" && name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		secret = strings.TrimSpace(string(data))
	}
	if old, err := os.ReadFile(n.server("token")); err == nil && secret == "" {
		_, secret, _ = strings.Cut(strings.TrimSpace(string(old)), "::server:")
	}
	if secret == "" {
		secret = randomHex()
	}
	token := fmt.Sprintf("K10%x::server:%s\n", sha256.Sum256(authority), secret)
	if err := writeFile(n.server("token"), []byte(token), 0o600); err != nil {
		return err
	}
	link := n.server("node-token")
	if _, err := os.Lstat(link); err == nil {
		return nil
	}
	return os.Symlink(filepath.Join(n.server(), "token"), link)
}

func (n *node) writeNodePassword() error {
	name := "/etc/rancher/node/password"
	if old, err := os.ReadFile(name); err == nil && len(bytes.TrimSpace(old)) > 0 {
		return nil
	}
	return writeFile(name, []byte(randomHex()+"\n"), 0o600)
}

func randomHex() string {
	data := make([]byte, 16)
	if _, err := rand.Read(data); err != nil {
		panic(err)
	}
	return hex.EncodeToString(data)
}
