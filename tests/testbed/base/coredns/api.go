package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

// api lists and watches with the pod's service account.
type api struct {
	base string
	http *http.Client
}

func inCluster() (*api, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" {
		return nil, fmt.Errorf("not in a cluster: KUBERNETES_SERVICE_HOST is not set")
	}
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	transport := &http.Transport{
		TLSClientConfig:       &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 10 * time.Second}).DialContext,
		ResponseHeaderTimeout: 10 * time.Second,
	}
	return &api{"https://" + net.JoinHostPort(host, port) + "/api/v1/", &http.Client{Transport: transport}}, nil
}

// follow keeps a view of all objects of a kind current, for ever.
func (a *api) follow(kind string, replace func([]object), change func(object, bool)) {
	for {
		err := a.session(kind, replace, change)
		log.Printf("coredns (testbed): %s: %v", kind, err)
		time.Sleep(300 * time.Millisecond)
	}
}

func (a *api) session(kind string, replace func([]object), change func(object, bool)) error {
	answer, err := a.get(kind)
	if err != nil {
		return err
	}
	var list struct {
		Metadata meta     `json:"metadata"`
		Items    []object `json:"items"`
	}
	err = json.NewDecoder(answer.Body).Decode(&list)
	answer.Body.Close()
	if err != nil {
		return err
	}
	replace(list.Items)
	watch, err := a.get(kind + "?watch=1&resourceVersion=" + list.Metadata.ResourceVersion)
	if err != nil {
		return err
	}
	defer watch.Body.Close()
	for events := json.NewDecoder(watch.Body); ; {
		var event struct {
			Type   string `json:"type"`
			Object object `json:"object"`
		}
		if err := events.Decode(&event); err != nil {
			return err
		}
		if event.Type == "ERROR" {
			return fmt.Errorf("the watch has ended")
		}
		change(event.Object, event.Type == "DELETED")
	}
}

func (a *api) get(path string) (*http.Response, error) {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest("GET", a.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	answer, err := a.http.Do(request)
	if err == nil && answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		err = fmt.Errorf("%s", answer.Status)
	}
	return answer, err
}
