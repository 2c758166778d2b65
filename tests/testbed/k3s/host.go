package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// lonelyAddress is given to the loopback device where the host has no address that a node could use.
const lonelyAddress = "198.51.100.1"

// prepareHost does what k3s does to a host before it starts: mounts that propagate, modules and sysctls.
func prepareHost() {
	if err := syscall.Mount("", "/", "", syscall.MS_SHARED|syscall.MS_REC, ""); err != nil {
		warning("cannot make mounts shared: %v", err)
	}
	if modprobe, err := exec.LookPath("modprobe"); err == nil {
		for _, name := range []string{"overlay", "nf_conntrack", "br_netfilter"} {
			_ = exec.Command(modprobe, "-q", name).Run()
		}
	}
	for name, value := range map[string]string{
		"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/forwarding": "1", "net/bridge/bridge-nf-call-iptables": "1",
	} {
		if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644); err != nil && !os.IsNotExist(err) {
			warning("cannot set %s: %v", name, err)
		}
	}
}

func nodeName(config settings) (string, error) {
	host, err := os.Hostname()
	return config.text("node-name", strings.ToLower(host)), err
}

// nodeIP is the configured address, else that of the default route's device, else any global one.
func nodeIP(config settings) (string, error) {
	if given := config.list("node-ip"); len(given) > 0 {
		return given[0], nil
	}
	if name := defaultDevice(); name != "" {
		if device, err := net.InterfaceByName(name); err == nil {
			if ip := globalAddress(device); ip != "" {
				return ip, nil
			}
		}
	}
	devices, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	for i := range devices {
		if ip := globalAddress(&devices[i]); ip != "" {
			return ip, nil
		}
	}
	warning("this host has only loopback addresses: adding %s to lo", lonelyAddress)
	if out, err := exec.Command("ip", "addr", "add", lonelyAddress+"/32", "dev", "lo").CombinedOutput(); err != nil {
		return "", fmt.Errorf("no address for the node: %v: %s", err, out)
	}
	return lonelyAddress, nil
}

func globalAddress(device *net.Interface) string {
	if device.Flags&net.FlagUp == 0 || ofPods(device.Name) {
		return ""
	}
	addresses, _ := device.Addrs()
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	return ""
}

func ofPods(device string) bool {
	for _, prefix := range []string{"veth", "cni", "lxc", "cilium", "flannel", "docker"} {
		if strings.HasPrefix(device, prefix) {
			return true
		}
	}
	return false
}

func defaultDevice() string {
	table, err := os.Open("/proc/net/route")
	if err != nil {
		return ""
	}
	defer table.Close()
	for lines := bufio.NewScanner(table); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 7 && fields[1] == "00000000" && fields[7] == "00000000" {
			return fields[0]
		}
	}
	return ""
}

// snapshotter is overlayfs where this file system can carry it, else plain copies.
func snapshotter(folder string) string {
	probe, err := os.MkdirTemp(folder, "overlay-probe-")
	if err != nil {
		return "native"
	}
	defer os.RemoveAll(probe)
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		_ = os.Mkdir(filepath.Join(probe, name), 0o755)
	}
	merged := filepath.Join(probe, "merged")
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", probe)
	if err := syscall.Mount("overlay", merged, "overlay", 0, options); err != nil {
		warning("no overlayfs below %s (%v): using the native snapshotter", folder, err)
		return "native"
	}
	_ = syscall.Unmount(merged, syscall.MNT_DETACH)
	return "overlayfs"
}
