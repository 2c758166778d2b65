package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	etcdURL     = "https://127.0.0.1:2379"
	etcdPeerURL = "http://127.0.0.1:2380"
)

func (n *node) startEtcd() error {
	cert := []string{"--cert-file=" + n.tls("etcd.crt"), "--key-file=" + n.tls("etcd.key")}
	args := append(cert, "--name=default", "--data-dir="+n.server("db", "etcd"), "--log-level=error",
		"--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL, "--listen-peer-urls="+etcdPeerURL,
		"--initial-advertise-peer-urls="+etcdPeerURL, "--initial-cluster=default="+etcdPeerURL,
		"--client-cert-auth", "--trusted-ca-file="+n.tls("etcd-ca.crt"), "--logger=zap", "--log-outputs=stderr")
	if err := os.MkdirAll(n.server("db", "etcd"), 0o700); err != nil {
		return err
	}
	started, err := n.start("etcd", args...)
	if err != nil {
		return err
	}
	client, err := n.client("etcd", "etcd-ca")
	if err != nil {
		return err
	}
	return until(started, 60*time.Second, "etcd", func() bool { return client.ok(etcdURL + "/health") })
}

func (n *node) startAPIServer() error {
	issuer := "https://kubernetes.default.svc." + n.domain
	args := []string{
		"--etcd-servers=" + etcdURL, "--etcd-cafile=" + n.tls("etcd-ca.crt"), "--etcd-certfile=" + n.tls("etcd.crt"),
		"--etcd-keyfile=" + n.tls("etcd.key"), "--bind-address=0.0.0.0", fmt.Sprintf("--secure-port=%d", n.port),
		"--advertise-address=" + n.ip, "--tls-cert-file=" + n.tls("serving-kube-apiserver.crt"),
		"--tls-private-key-file=" + n.tls("serving-kube-apiserver.key"), "--client-ca-file=" + n.tls("client-ca.crt"),
		"--kubelet-client-certificate=" + n.tls("client-kube-apiserver.crt"),
		"--kubelet-client-key=" + n.tls("client-kube-apiserver.key"),
		"--kubelet-certificate-authority=" + n.tls("server-ca.crt"),
		"--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
		"--requestheader-client-ca-file=" + n.tls("request-header-ca.crt"),
		"--requestheader-allowed-names=system:auth-proxy", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + n.tls("client-auth-proxy.crt"),
		"--proxy-client-key-file=" + n.tls("client-auth-proxy.key"),
		"--service-account-key-file=" + n.tls("service.key"), "--service-account-signing-key-file=" + n.tls("service.key"),
		"--service-account-issuer=" + issuer, "--api-audiences=" + issuer + ",k3s",
		"--service-cluster-ip-range=" + n.serviceCIDR,
		"--service-node-port-range=" + n.config.text("service-node-port-range", "30000-32767"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--anonymous-auth=false", "--profiling=false", "--insecure-port=0", "--cert-dir=" + n.tls("temporary-certs"),
	}
	started, err := n.start("kube-apiserver", append(args, extra(n.config, "kube-apiserver-arg")...)...)
	if err != nil {
		return err
	}
	client, err := n.client("client-admin", "server-ca")
	if err != nil {
		return err
	}
	ready := fmt.Sprintf("https://127.0.0.1:%d/readyz", n.port)
	return until(started, 120*time.Second, "the API server", func() bool { return client.ok(ready) })
}

func (n *node) startControllers() error {
	controller := n.server("cred", "controller.kubeconfig")
	authority := n.tls("client-ca")
	_, err := n.start("kube-controller-manager", "--kubeconfig="+controller, "--authentication-kubeconfig="+controller,
		"--authorization-kubeconfig="+controller, "--service-account-private-key-file="+n.tls("service.key"),
		"--root-ca-file="+n.tls("server-ca.crt"), "--allocate-node-cidrs=true", "--cluster-cidr="+n.podCIDR,
		"--service-cluster-ip-range="+n.serviceCIDR, "--cluster-signing-cert-file="+authority+".crt",
		"--cluster-signing-key-file="+authority+".key", "--use-service-account-credentials=true",
		"--configure-cloud-routes=false", "--node-monitor-period=1s", "--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=10257",
		"--port=0", "--profiling=false")
	if err != nil {
		return err
	}
	return n.startScheduler()
}

// startScheduler lets pods that could not be placed be tried again after a second at most.
func (n *node) startScheduler() error {
	kubeconfig, name := n.server("cred", "scheduler.kubeconfig"), n.server("etc", "scheduler.json")
	config := map[string]interface{}{
		"kind": "KubeSchedulerConfiguration", "apiVersion": "kubescheduler.config.k8s.io/v1beta1",
		"podInitialBackoffSeconds": 1, "podMaxBackoffSeconds": 1,
		"clientConnection": map[string]string{"kubeconfig": kubeconfig},
		"leaderElection":   map[string]bool{"leaderElect": false},
		"enableProfiling":  false,
	}
	if err := writeJSON(name, config); err != nil {
		return err
	}
	_, err := n.start("kube-scheduler", "--config="+name, "--authentication-kubeconfig="+kubeconfig,
		"--authorization-kubeconfig="+kubeconfig, "--bind-address=127.0.0.1", "--secure-port=10259", "--port=0")
	return err
}

func (n *node) startKubelet() error {
	config, err := n.writeKubeletConfig()
	if err != nil {
		return err
	}
	args := []string{
		"--config=" + config, "--kubeconfig=" + n.agent("kubelet.kubeconfig"), "--hostname-override=" + n.name,
		"--node-ip=" + n.ip, "--container-runtime=remote", "--container-runtime-endpoint=unix://" + containerdSocket,
		"--root-dir=/var/lib/kubelet", "--cert-dir=" + n.agent("pki"),
	}
	if labels := n.config.list("node-label"); len(labels) > 0 {
		args = append(args, "--node-labels="+strings.Join(labels, ","))
	}
	if taints := n.config.list("node-taint"); len(taints) > 0 {
		args = append(args, "--register-with-taints="+strings.Join(taints, ","))
	}
	// No question to a cloud's metadata service: this kubelet asks there for registry credentials.
	env := []string{"AWS_EC2_METADATA_DISABLED=true"}
	_, err = n.spawn(os.Stderr, env, "kubelet", append(args, extra(n.config, "kubelet-arg")...)...)
	return err
}

func (n *node) writeKubeletConfig() (string, error) {
	config := map[string]interface{}{
		"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
		"cgroupDriver": "cgroupfs", "failSwapOn": false, "oomScoreAdj": 0, "makeIPTablesUtilChains": false, "clusterDNS": []string{n.clusterDNS},
		"clusterDomain": n.domain, "tlsCertFile": n.tls("serving-kubelet.crt"),
		"tlsPrivateKeyFile": n.tls("serving-kubelet.key"), "healthzBindAddress": "127.0.0.1",
		"authentication": map[string]interface{}{
			"anonymous": map[string]bool{"enabled": false}, "webhook": map[string]bool{"enabled": true},
			"x509": map[string]string{"clientCAFile": n.tls("client-ca.crt")},
		},
		"authorization":               map[string]string{"mode": "Webhook"},
		"evictionHard":                map[string]string{"imagefs.available": "2%", "nodefs.available": "2%"},
		"imageGCHighThresholdPercent": 99, "imageGCLowThresholdPercent": 98,
		"nodeStatusUpdateFrequency": "1s", "nodeStatusReportFrequency": "1m", "syncFrequency": "10s",
	}
	name := n.agent("etc", "kubelet.json")
	return name, writeJSON(name, config)
}

func writeJSON(name string, content interface{}) error {
	data, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(name, data, 0o600)
}

// startProxy runs kube-proxy unless the configuration forbids it or the host has no iptables for it.
func (n *node) startProxy() error {
	if n.config.on("disable-kube-proxy") {
		return nil
	}
	if _, err := exec.LookPath("iptables"); err != nil {
		warning("kube-proxy is not run: this host has no iptables")
		return nil
	}
	_, err := n.start("kube-proxy", "--kubeconfig="+n.agent("kubeproxy.kubeconfig"), "--proxy-mode=iptables",
		"--cluster-cidr="+n.podCIDR, "--hostname-override="+n.name, "--healthz-bind-address=127.0.0.1",
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0")
	return err
}

func extra(config settings, flag string) []string {
	result := []string{}
	for _, value := range config[flag] {
		result = append(result, "--"+strings.TrimLeft(value, "-"))
	}
	return result
}
