package world

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"sync"
	"time"
)

// Syslog is /dev/log: it keeps what the programs of the world say by syslog(3).
type Syslog struct {
	mu    sync.Mutex
	lines []string
	file  *os.File
}

func openSyslog(socket, file string) (*Syslog, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		return nil, err
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	s := &Syslog{file: f}
	go s.collect(conn)
	return s, nil
}

func (s *Syslog) collect(conn *net.UnixConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.lines = append(s.lines, string(buf[:n]))
		_, _ = fmt.Fprintf(s.file, "%s\n", buf[:n])
		s.mu.Unlock()
	}
}

// Mark is where the log ends now, for Wait.
func (s *Syslog) Mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

// Wait returns the first line after mark that matches the pattern. It waits for it 3 seconds.
func (s *Syslog) Wait(mark int, pattern string) (string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", err
	}
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if line := s.find(mark, re); line != "" {
			return line, nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no line of the system log matches %q", pattern)
		}
	}
}

func (s *Syslog) find(mark int, re *regexp.Regexp) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.lines[mark:] {
		if re.MatchString(line) {
			return line
		}
	}
	return ""
}
