package world

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Server is a running sshd.
type Server struct {
	Port    int
	Log     string // file with what it says at level DEBUG1
	service string
}

// sshdConfig is for every sshd of the world. The first value of a keyword counts, so that a server's own
// settings come first: in a file of their own, with which their Match blocks end.
const sshdConfig = `
Include %s
Port %d
ListenAddress 127.0.0.1
HostKey %s/host_ed25519
PidFile none
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication yes
PrintMotd no
PrintLastLog no
UseDNS no
AcceptEnv LANG LC_*
LogLevel DEBUG1
`

// StartSSHD starts an sshd whose PAM service has this name and this stack. sshd calls its service after
// the name it was started by, so each name gets a link of its own.
func (w *World) StartSSHD(service, stack, settings string) (*Server, error) {
	if err := WritePAM(service, stack); err != nil {
		return nil, err
	}
	key := runDir + "/host_ed25519"
	if _, err := os.Stat(key); err != nil {
		if _, err := run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key); err != nil {
			return nil, err
		}
	}
	program := "/usr/sbin/sshd"
	if service != "sshd" {
		program = filepath.Join("/usr/sbin", service)
		if err := os.Symlink("sshd", program); err != nil && !os.IsExist(err) {
			return nil, err
		}
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	config, own := filepath.Join(runDir, service+".conf"), filepath.Join(runDir, service+".own.conf")
	if err := WriteFile(own, settings, 0o600); err != nil {
		return nil, err
	}
	if err := WriteFile(config, fmt.Sprintf(sshdConfig, own, port, runDir), 0o600); err != nil {
		return nil, err
	}
	s := &Server{Port: port, Log: filepath.Join(LogDir, service), service: service}
	log, err := os.Create(s.Log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(program, "-D", "-e", "-f", config)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait() }()
	return s, s.listening()
}

func (s *Server) listening() error {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(s.Log)
			return fmt.Errorf("sshd doesn't listen: %s", text)
		}
	}
}

// Client is the ssh command line for a user of this server. The first value of an option counts.
func (s *Server) Client(user string, options ...string) []string {
	argv := append([]string{"ssh", "-F", "none"}, options...)
	return append(argv, "-p", strconv.Itoa(s.Port), "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "IdentityAgent=none",
		"-o", "NumberOfPasswordPrompts=1", "-o", "SendEnv=LANG",
		user+"@127.0.0.1")
}
