package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// node holds what is decided at start, and the programs that run.
type node struct {
	config         settings
	bin            string
	name           string
	ip             string
	port           int
	domain         string
	podCIDR        string
	serviceCIDR    string
	clusterDNS     string
	firstServiceIP string
	snapshotter    string

	mutex    sync.Mutex
	children []*child
	failed   chan error
	closing  bool
}

func newNode(config settings) (*node, error) {
	n := &node{config: config, failed: make(chan error, 16), snapshotter: "overlayfs"}
	n.domain = config.text("cluster-domain", "cluster.local")
	n.podCIDR = config.text("cluster-cidr", "10.42.0.0/16")
	n.serviceCIDR = config.text("service-cidr", "10.43.0.0/16")
	var err error
	if n.port, err = strconv.Atoi(config.text("https-listen-port", "6443")); err != nil {
		return nil, fmt.Errorf("https-listen-port: %v", err)
	}
	if _, _, err := net.ParseCIDR(n.podCIDR); err != nil {
		return nil, fmt.Errorf("cluster-cidr: %v", err)
	}
	_, services, err := net.ParseCIDR(n.serviceCIDR)
	if err != nil || services.IP.To4() == nil {
		return nil, fmt.Errorf("service-cidr: want an IPv4 network, not %q", n.serviceCIDR)
	}
	n.firstServiceIP = nth(services, 1)
	n.clusterDNS = config.text("cluster-dns", nth(services, 10))
	if n.name, err = nodeName(config); err != nil {
		return nil, err
	}
	return n, nil
}

func nth(network *net.IPNet, i uint32) string {
	ip := make(net.IP, 4)
	binary.BigEndian.PutUint32(ip, binary.BigEndian.Uint32(network.IP.To4())+i)
	return ip.String()
}

func (n *node) flannel() bool { return n.config.text("flannel-backend", "vxlan") != "none" }

func (n *node) server(parts ...string) string {
	return filepath.Join(append([]string{n.config.dataDir(), "server"}, parts...)...)
}

func (n *node) agent(parts ...string) string {
	return filepath.Join(append([]string{n.config.dataDir(), "agent"}, parts...)...)
}

func (n *node) tls(parts ...string) string { return n.server(append([]string{"tls"}, parts...)...) }

// spawn starts one of the bundled programs; its unexpected end is the end of k3s, as with the real one.
func (n *node) spawn(out io.Writer, env []string, name string, args ...string) (*child, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.closing {
		return nil, fmt.Errorf("%s: k3s is stopping", name)
	}
	info("Running %s %v", name, args)
	started, err := spawn(nil, out, env, filepath.Join(n.bin, name), name, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", name, err)
	}
	n.children = append(n.children, started)
	go func() {
		<-started.done
		n.failed <- fmt.Errorf("%s exited: %v", name, started.err)
	}()
	return started, nil
}

// start runs a program of the cluster, which talks to the same stream as k3s.
func (n *node) start(name string, args ...string) (*child, error) {
	return n.spawn(os.Stderr, nil, name, args...)
}

// stop ends the programs, etcd last; containers and their shims go on.
func (n *node) stop() {
	n.mutex.Lock()
	n.closing = true
	children := n.children
	n.mutex.Unlock()
	var others sync.WaitGroup
	for _, running := range children {
		if running.name != "etcd" {
			others.Add(1)
			go func(running *child) {
				defer others.Done()
				running.stop(1500 * time.Millisecond)
			}(running)
		}
	}
	others.Wait()
	for _, running := range children {
		running.stop(5 * time.Second)
	}
}

// until waits for a condition while a program runs.
func until(running *child, patience time.Duration, what string, true func() bool) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-running.done:
			return fmt.Errorf("%s exited: %v", running.name, running.err)
		default:
		}
		if true() {
			return nil
		}
	}
	return fmt.Errorf("waited %s for %s", patience, what)
}
