package main

import (
	"fmt"
	"os"
	"os/user"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// The lines of strace -f -y that cmdHomes goes by.
var (
	traced  = regexp.MustCompile(`^(\d+) +(.*)$`)
	born    = regexp.MustCompile(`^(?:clone3?|v?fork|<\.\.\. (?:clone3?|v?fork) resumed>).* = (\d+)(?:</[^>]*>)?$`)
	dropped = regexp.MustCompile(`^setresuid\((\d+), (\d+), (\d+)\) += 0`)
	started = regexp.MustCompile(`^(?:execve\("|<\.\.\. execve resumed>)`)
)

// reader is a process that has become the owner of a home, with all its threads.
type reader struct{ uid string }

// cmdHomes is: [!] homes TRACE DIR=USER... It fails unless everything below the directories was looked at by a process
// that had become that user, or uid, for good, and something was; with !, unless nothing was.
func cmdHomes(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: homes TRACE DIR=USER...")
	}
	owners := map[string]string{}
	for _, home := range args[1:] {
		dir, uid, _ := strings.Cut(home, "=")
		if u, err := user.Lookup(uid); err == nil {
			uid = u.Uid
		}
		owners[dir] = uid
	}
	looked, err := belowHomes(ts.ReadFile(args[0]), owners)
	ts.Check(err)
	if neg != (looked == 0) {
		ts.Fatalf("homes were looked into %d times", looked)
	}
}

func belowHomes(trace string, owners map[string]string) (looked int, err error) {
	processes := map[string]*reader{}
	for line := range strings.Lines(trace) {
		m := traced.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		thread, call := m[1], m[2]
		if processes[thread] == nil {
			processes[thread] = &reader{}
		}
		if b := born.FindStringSubmatch(call); b != nil {
			child := b[1]
			if strings.Contains(call, "CLONE_THREAD") || processes[thread].uid != "" {
				processes[child] = processes[thread]
			}
			continue
		}
		if d := dropped.FindStringSubmatch(call); d != nil && d[1] == d[2] && d[2] == d[3] {
			processes[thread].uid = d[1]
		}
		if started.MatchString(call) {
			continue
		}
		for dir, uid := range owners {
			if !strings.Contains(call, dir+"/") && !strings.Contains(call, dir+">") {
				continue
			}
			if processes[thread].uid != uid {
				return 0, fmt.Errorf("with the rights of uid %q, not %s: %s", processes[thread].uid, uid, call)
			}
			looked++
		}
	}
	return looked, nil
}

// cmdTraced is: traced TRACE COMMAND... It runs a command and has strace write down what its processes do with
// names of files. The status is the command's.
func cmdTraced(ts *testscript.TestScript, neg bool, args []string) {
	trace := ts.MkAbs(args[0])
	options := []string{"-f", "-y", "-s", "400", "-e", "trace=%file,%process,setresuid", "-o", trace, "timeout", "--signal=KILL", "20"}
	err := ts.Exec("strace", append(options, args[1:]...)...)
	if _, missing := os.Stat(trace); missing != nil {
		ts.Fatalf("no trace: %v", err)
	}
}
