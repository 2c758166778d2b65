#!/bin/sh
# Init containers of the agent: `cilium-init NAME`. FAIL_INIT=NAME makes that one fail with a reason.
set -eu
if [ "${FAIL_INIT:-}" = "$1" ]; then
  case $1 in
  config) echo 'level=error msg="Unable to contact k8s api-server" error="dial tcp: connect: connection refused" subsys=k8s-client' ;;
  mount-bpf-fs) echo "mount: /sys/fs/bpf is not a shared mount" ;;
  mount-cgroup) echo "nsenter: failed to execute /opt/cni/bin/cilium-mount: Permission denied" ;;
  *) echo "$1: failed as asked for by testbed.fail.initContainer" ;;
  esac
  exit 1
fi
case $1 in
config) exec cilium-dbg build-config ;;
mount-cgroup) echo "cgroup2 at ${CGROUP_ROOT:-/run/cilium/cgroupv2}: not needed by the stand-in" ;;
apply-sysctl-overwrites)
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo "sysctl overwrites applied" ;;
mount-bpf-fs) [ -d /sys/fs/bpf ] && echo "bpf filesystem at /sys/fs/bpf" ;;
clean-cilium-state)
  if [ "${CILIUM_ALL_STATE:-false}" = true ]; then rm -rf /var/run/cilium/state; fi
  echo "nothing to clean" ;;
install-cni-binaries)
  mkdir -p /host/opt/cni/bin
  for plugin in /opt/cni/bin/*; do
    cp "$plugin" "/host/opt/cni/bin/.${plugin##*/}.part"
    mv -f "/host/opt/cni/bin/.${plugin##*/}.part" "/host/opt/cni/bin/${plugin##*/}"
  done
  echo "Installed CNI plugins to /host/opt/cni/bin" ;;
*) echo "unknown init container $1"; exit 2 ;;
esac
