package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// caller speaks HTTPS with one of the node's client certificates.
type caller struct{ http *http.Client }

func (n *node) client(cert, authority string) (*caller, error) {
	pair, err := tls.LoadX509KeyPair(n.tls(cert+".crt"), n.tls(cert+".key"))
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(n.tls(authority + ".crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}
	return &caller{&http.Client{Transport: transport, Timeout: 5 * time.Second}}, nil
}

func (c *caller) ok(url string) bool {
	answer, err := c.http.Get(url)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode == http.StatusOK
}

// send makes a request with a JSON body; into, if given, takes the answer.
func (c *caller) send(method, url, kind string, body, into interface{}) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", kind)
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 500))
		return fmt.Errorf("%s %s: %s: %s", method, url, answer.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// labelNode waits for the node to register, gives it the roles of a k3s server, and returns its pod network.
func (n *node) labelNode(stopped <-chan struct{}) (string, error) {
	client, err := n.client("client-admin", "server-ca")
	if err != nil {
		return "", err
	}
	url := fmt.Sprintf("https://127.0.0.1:%d/api/v1/nodes/%s", n.port, n.name)
	labels := map[string]string{
		"node-role.kubernetes.io/control-plane": "true", "node-role.kubernetes.io/master": "true",
		"node.kubernetes.io/instance-type": "k3s",
	}
	patch := map[string]interface{}{"metadata": map[string]interface{}{"labels": labels}}
	for {
		var found struct {
			Spec struct {
				PodCIDR string `json:"podCIDR"`
			} `json:"spec"`
		}
		err := client.send("PATCH", url, "application/merge-patch+json", patch, &found)
		if err == nil && found.Spec.PodCIDR != "" {
			return found.Spec.PodCIDR, nil
		}
		select {
		case <-stopped:
			return "", fmt.Errorf("stopped before the node had registered: %v", err)
		case <-time.After(150 * time.Millisecond):
		}
	}
}
