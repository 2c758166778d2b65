package main

import (
	"net"
	"strings"
	"sync"
)

type meta struct {
	Name            string `json:"name"`
	Namespace       string `json:"namespace"`
	ResourceVersion string `json:"resourceVersion"`
}

type address struct {
	IP       string `json:"ip"`
	Hostname string `json:"hostname"`
}

// object is what is read of a Service or an Endpoints object.
type object struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		ClusterIP    string `json:"clusterIP"`
		ExternalName string `json:"externalName"`
	} `json:"spec"`
	Subsets []struct {
		Addresses []address `json:"addresses"`
	} `json:"subsets"`
}

func (o object) key() string { return o.Metadata.Name + "." + o.Metadata.Namespace }

// zone knows the cluster's names.
type zone struct {
	domain    string
	mutex     sync.RWMutex
	services  map[string]object
	endpoints map[string]object
}

func newZone(domain string) *zone { return &zone{domain: domain} }

func (z *zone) synced() bool {
	z.mutex.RLock()
	defer z.mutex.RUnlock()
	return z.services != nil && z.endpoints != nil
}

func (z *zone) replaceServices(objects []object)  { z.replace(&z.services, objects) }
func (z *zone) replaceEndpoints(objects []object) { z.replace(&z.endpoints, objects) }

func (z *zone) replace(known *map[string]object, objects []object) {
	fresh := map[string]object{}
	for _, item := range objects {
		fresh[item.key()] = item
	}
	z.mutex.Lock()
	*known = fresh
	z.mutex.Unlock()
}

func (z *zone) changeService(item object, gone bool)   { z.change(z.services, item, gone) }
func (z *zone) changeEndpoints(item object, gone bool) { z.change(z.endpoints, item, gone) }

func (z *zone) change(known map[string]object, item object, gone bool) {
	z.mutex.Lock()
	defer z.mutex.Unlock()
	if gone {
		delete(known, item.key())
	} else {
		known[item.key()] = item
	}
}

// lookup returns the addresses of a name, and whether there is such a name.
func (z *zone) lookup(name string) ([]net.IP, bool) {
	short := strings.TrimSuffix(name, ".svc."+z.domain)
	if short == name {
		return nil, name == z.domain || name == "svc."+z.domain
	}
	z.mutex.RLock()
	defer z.mutex.RUnlock()
	labels := strings.Split(short, ".")
	switch len(labels) {
	case 1:
		return nil, z.hasNamespace(short)
	case 2:
		return z.service(short)
	case 3:
		return z.host(labels[0], labels[1]+"."+labels[2])
	}
	return nil, false
}

func (z *zone) hasNamespace(namespace string) bool {
	for _, item := range z.services {
		if item.Metadata.Namespace == namespace {
			return true
		}
	}
	return false
}

func (z *zone) service(key string) ([]net.IP, bool) {
	item, known := z.services[key]
	if !known || item.Spec.ExternalName != "" {
		return nil, false
	}
	if ip := net.ParseIP(item.Spec.ClusterIP).To4(); ip != nil {
		return []net.IP{ip}, true
	}
	return z.pods(key, func(address) bool { return true }), true
}

// host finds a pod by its hostname below a headless service.
func (z *zone) host(hostname, key string) ([]net.IP, bool) {
	found := z.pods(key, func(pod address) bool {
		return pod.Hostname == hostname || strings.ReplaceAll(pod.IP, ".", "-") == hostname
	})
	return found, len(found) > 0
}

func (z *zone) pods(key string, wanted func(address) bool) []net.IP {
	found := []net.IP{}
	for _, subset := range z.endpoints[key].Subsets {
		for _, pod := range subset.Addresses {
			if ip := net.ParseIP(pod.IP).To4(); ip != nil && wanted(pod) {
				found = append(found, ip)
			}
		}
	}
	return found
}
