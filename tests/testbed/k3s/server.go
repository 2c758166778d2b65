package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// server runs the node until it is told to stop or a part of it fails.
func server(args []string) int {
	config, err := loadConfig(args)
	if err != nil {
		logLine("fatal", "%v", err)
		return 1
	}
	if os.Geteuid() != 0 {
		logLine("fatal", "must run as root")
		return 1
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	n, err := newNode(config)
	if err != nil {
		logLine("fatal", "%v", err)
		return 1
	}
	stopped, booted := make(chan struct{}), make(chan error, 1)
	go func() { booted <- n.boot(stopped) }()
	code := n.wait(signals, booted)
	notify("STOPPING=1")
	close(stopped)
	n.stop()
	return code
}

func (n *node) wait(signals <-chan os.Signal, booted <-chan error) int {
	for {
		select {
		case got := <-signals:
			info("Received %s: shutting down; containers keep running", got)
			return 0
		case err := <-n.failed:
			logLine("fatal", "%v", err)
			return 1
		case err := <-booted:
			if err != nil {
				logLine("fatal", "%v", err)
				return 1
			}
			booted = nil
		}
	}
}

// boot brings the node up: the container runtime and images beside the control plane, then the rest.
func (n *node) boot(stopped <-chan struct{}) error {
	begun := time.Now()
	info("Starting k3s %s (testbed stand-in)", version)
	for _, flag := range n.config[unknown] {
		warning("Unknown flag %s, skipping", flag)
	}
	var err error
	if n.bin, err = extract(n.config.dataDir()); err != nil {
		return err
	}
	prepareHost()
	if n.ip, err = nodeIP(n.config); err != nil {
		return err
	}
	for _, step := range []func() error{
		n.makeCertificates, n.writeTokens, n.writeNodePassword, n.writeManifests, n.waitForPorts,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	runtime := make(chan error, 1)
	go func() {
		err := n.startContainerd()
		if err == nil {
			go n.importImages(stopped)
		}
		runtime <- err
	}()
	if err := n.startControlPlane(stopped); err != nil {
		return err
	}
	if err := <-runtime; err != nil {
		return err
	}
	if err := n.startAgent(stopped); err != nil {
		return err
	}
	info("k3s is up and running (API ready after %.1fs)", time.Since(begun).Seconds())
	notify("READY=1")
	return nil
}

func (n *node) startControlPlane(stopped <-chan struct{}) error {
	if err := n.startEtcd(); err != nil {
		return err
	}
	if err := n.writeKubeconfigs(); err != nil {
		return err
	}
	if err := forward(n.port+1, n.port, stopped); err != nil {
		return err
	}
	if err := n.startAPIServer(); err != nil {
		return err
	}
	return n.startControllers()
}

func (n *node) startAgent(stopped <-chan struct{}) error {
	if err := n.startKubelet(); err != nil {
		return err
	}
	if err := n.startProxy(); err != nil {
		return err
	}
	if !n.config.on("disable-network-policy") {
		info("The network policy controller is not part of this stand-in")
	}
	go n.deployManifests(stopped)
	go func() {
		podCIDR, err := n.labelNode(stopped)
		if err != nil {
			return
		}
		info("Node %s registered with pod network %s", n.name, podCIDR)
		if n.flannel() {
			n.writeFlannel(podCIDR)
		}
	}()
	return nil
}

// waitForPorts gives programs of a killed predecessor a moment to be gone; a port that stays taken is fatal.
func (n *node) waitForPorts() error {
	wanted := []string{
		fmt.Sprintf(":%d", n.port), fmt.Sprintf("127.0.0.1:%d", n.port+1), "127.0.0.1:2379", "127.0.0.1:2380", ":10250",
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := tryPorts(wanted)
		if err == nil || time.Now().After(deadline) || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
}

func tryPorts(wanted []string) error {
	for _, address := range wanted {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		listener.Close()
	}
	return nil
}

// forward offers the API server at a second local port, as k3s' own load balancer does.
func forward(from, to int, stopped <-chan struct{}) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", from))
	if err != nil {
		return err
	}
	go func() {
		<-stopped
		listener.Close()
	}()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				if !strings.Contains(err.Error(), "closed") {
					warning("port %d: %v", from, err)
				}
				return
			}
			go splice(conn, fmt.Sprintf("127.0.0.1:%d", to))
		}
	}()
	return nil
}

func splice(client net.Conn, target string) {
	defer client.Close()
	backend, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer backend.Close()
	go func() {
		_, _ = io.Copy(backend, client)
		_ = backend.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(client, backend)
}
