// Command coredns answers the cluster's DNS names from the API's Services and Endpoints, and nothing else.
// It is the testbed's stand-in for CoreDNS and keeps its ports: 53, 8080/health and 8181/ready.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

func main() {
	domain := flag.String("domain", "cluster.local", "the cluster's DNS domain")
	listen := flag.String("listen", ":53", "the address to answer at")
	flag.Parse()
	log.SetFlags(log.LstdFlags | log.LUTC)
	api, err := inCluster()
	if err != nil {
		log.Fatalf("coredns (testbed): %v", err)
	}
	names := newZone(*domain)
	go api.follow("services", names.replaceServices, names.changeService)
	go api.follow("endpoints", names.replaceEndpoints, names.changeEndpoints)
	go health(":8080", "/health", func() bool { return true })
	go health(":8181", "/ready", names.synced)
	log.Printf("coredns (testbed): serving %s on %s", *domain, *listen)
	go serveTCP(*listen, names)
	log.Fatal(serveUDP(*listen, names))
}

func health(address, path string, good func() bool) {
	mux := http.NewServeMux()
	mux.HandleFunc(path, func(answer http.ResponseWriter, _ *http.Request) {
		if !good() {
			answer.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(answer, "OK")
	})
	log.Fatal(http.ListenAndServe(address, mux))
}

func serveUDP(address string, names *zone) error {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		size, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if answer := respond(buffer[:size], names); answer != nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

func serveTCP(address string, names *zone) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go converse(conn, names)
	}
}

func converse(conn net.Conn, names *zone) {
	defer conn.Close()
	for {
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		query := make([]byte, size)
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		answer := respond(query, names)
		if answer == nil {
			return
		}
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
		if _, err := conn.Write(framed); err != nil {
			return
		}
	}
}
