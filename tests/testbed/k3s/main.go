// Command k3s is the testbed's stand-in for k3s: it keeps the part of k3s' contract that installers meet
// (configuration, files, ports, sub-commands, service behaviour) and runs real Kubernetes programs behind it.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// version is set by the build.
var version = "v0.0.0+k3s1"

// mainThread runs functions on the process' first thread, which never ends: children that ask the kernel
// to die with their parent's thread (Pdeathsig) must be started from it.
var mainThread = make(chan func())

func init() { runtime.LockOSThread() }

func main() {
	go func() { os.Exit(dispatch(filepath.Base(os.Args[0]), os.Args[1:])) }()
	for call := range mainThread {
		call()
	}
}

func dispatch(name string, args []string) int {
	switch name {
	case "kubectl", "ctr", "crictl":
		return tool(name, args)
	}
	if len(args) == 0 {
		return usage()
	}
	switch args[0] {
	case "--version", "-v", "version":
		fmt.Printf("k3s version %s (testbed)\ngo version %s\n", version, runtime.Version())
		return 0
	case "server":
		return server(args[1:])
	case "kubectl", "ctr", "crictl":
		return tool(args[0], args[1:])
	case "help", "--help", "-h":
		usage()
		return 0
	}
	fmt.Fprintf(os.Stderr, "k3s (testbed): %q is not part of this stand-in\n", args[0])
	return 1
}

func usage() int {
	fmt.Fprintln(os.Stderr, "k3s (testbed stand-in): usage: k3s server [--flag value …] | kubectl … | ctr … | --version")
	return 1
}

// tool replaces this process by one of the bundled clients, pointed at this node's cluster.
func tool(name string, args []string) int {
	if name == "crictl" {
		fmt.Fprintln(os.Stderr, "k3s (testbed): crictl is not part of this stand-in; use `k3s ctr` or `k3s kubectl`")
		return 1
	}
	config, err := loadConfig(nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, "k3s:", err)
		return 1
	}
	bin, err := extract(config.dataDir())
	if err != nil {
		fmt.Fprintln(os.Stderr, "k3s:", err)
		return 1
	}
	defaults := map[string]string{
		"KUBECONFIG":           config.kubeconfig(),
		"CONTAINERD_ADDRESS":   containerdSocket,
		"CONTAINERD_NAMESPACE": "k8s.io",
	}
	for key, value := range defaults {
		if os.Getenv(key) == "" {
			os.Setenv(key, value)
		}
	}
	err = syscall.Exec(filepath.Join(bin, name), append([]string{name}, args...), os.Environ())
	fmt.Fprintln(os.Stderr, "k3s:", err)
	return 1
}
