package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed host/host.c
var hostSource []byte

// host is the compiled host program, and what each of its runs is given.
type host struct {
	program string
	conf    services
	codes   string   // file
	blocks  string   // file for :fdatasync
	preload []string // modules
	env     []string
}

// compile makes the host program in dir.
func compile(dir string) (string, error) {
	source, program := filepath.Join(dir, "host.c"), filepath.Join(dir, "host")
	if err := os.WriteFile(source, hostSource, 0o600); err != nil {
		return "", err
	}
	out, err := exec.Command("cc", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-o", program, source, "-lpam").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("compile host.c: %w\n%s", err, out)
	}
	return program, nil
}

// alternate takes the services in turn and returns the times of each. how is same, fork, unasked or dormant.
func (h *host) alternate(how string, warm, rounds int, names ...string) (map[string][]time.Duration, error) {
	var args []string
	if how == "same" {
		args = h.loaded()
	}
	args = append(args, "-block", h.blocks, string(h.conf), h.codes, "alternate", how, strconv.Itoa(warm), strconv.Itoa(rounds))
	lines, err := h.run(append(args, names...))
	if err != nil {
		return nil, err
	}
	times := map[string][]time.Duration{}
	for _, l := range lines {
		if len(l) != 2 {
			return nil, errors.New("host: unexpected output")
		}
		ns, err := strconv.ParseInt(l[1], 10, 64)
		if err != nil {
			return nil, err
		}
		times[l[0]] = append(times[l[0]], time.Duration(ns))
	}
	return times, nil
}

// concurrent returns the accepted logins a second of so many processes at once.
func (h *host) concurrent(workers int, name string) (float64, error) {
	args := append(h.loaded(), string(h.conf), h.codes, "concurrent", strconv.Itoa(workers), name)
	lines, err := h.run(args)
	if err != nil {
		return 0, err
	}
	if len(lines) != 1 || len(lines[0]) != 3 {
		return 0, errors.New("host: unexpected output")
	}
	logins, err1 := strconv.ParseFloat(lines[0][1], 64)
	ns, err2 := strconv.ParseFloat(lines[0][2], 64)
	return logins / ns * 1e9, errors.Join(err1, err2)
}

func (h *host) loaded() []string {
	var args []string
	for _, m := range h.preload {
		args = append(args, "-preload", m)
	}
	return args
}

// run returns the fields of the lines that the host printed.
func (h *host) run(args []string) ([][]string, error) {
	cmd := exec.Command(h.program, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &said, h.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said.String())
	}
	var lines [][]string
	for l := range strings.Lines(out.String()) {
		lines = append(lines, strings.Fields(l))
	}
	return lines, nil
}
