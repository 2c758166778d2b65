package main

import (
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is a program that runs as part of the node.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// spawn starts a program which dies with this process; in, if any, is its input, out takes its output.
func spawn(in io.Reader, out io.Writer, env []string, path, name string, args ...string) (*child, error) {
	cmd := exec.Command(path, args...)
	cmd.Args[0] = name
	cmd.Stdin = in
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	mainThread <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	running := &child{name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		running.err = cmd.Wait()
		close(running.done)
	}()
	return running, nil
}

// run starts a program and waits for its end.
func run(in io.Reader, out io.Writer, path, name string, args ...string) error {
	running, err := spawn(in, out, nil, path, name, args...)
	if err != nil {
		return err
	}
	<-running.done
	return running.err
}

// stop asks a program to end, and kills it when it takes longer than patience.
func (c *child) stop(patience time.Duration) {
	select {
	case <-c.done:
		return
	default:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}
