package main

import (
	"fmt"
	"net"
	"os"
	"time"
)

func logLine(level, format string, args ...interface{}) {
	text := fmt.Sprintf(format, args...)
	stamp := time.Now().UTC().Format(time.RFC3339)
	fmt.Fprintf(os.Stderr, "time=%q level=%s msg=%q\n", stamp, level, text)
}

func info(format string, args ...interface{})    { logLine("info", format, args...) }
func warning(format string, args ...interface{}) { logLine("warning", format, args...) }

// notifySocket is kept from the children: some of them would report themselves as ready.
var notifySocket = os.Getenv("NOTIFY_SOCKET")

func init() { os.Unsetenv("NOTIFY_SOCKET") }

// notify tells a service manager that listens (systemd's Type=notify) about a change of state.
func notify(state string) {
	name := notifySocket
	if name == "" {
		return
	}
	if name[0] == '@' {
		name = "\x00" + name[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		warning("cannot notify the service manager: %v", err)
		return
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		warning("cannot notify the service manager: %v", err)
	}
}
