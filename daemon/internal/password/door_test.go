package password_test

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/internal/password"
)

// doorAt has this process be a door at a socket, for TestDoor.
const doorAt = "TOTPD_TEST_DOOR"

func TestDoorProcess(t *testing.T) {
	at := os.Getenv(doorAt)
	if at == "" {
		return // it is the other program's
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: at})
	if err != nil {
		t.Fatal(err)
	}
	(&password.Door{Complaints: log.New(os.Stderr, "", 0), Idle: time.Second}).Serve(l)
}

// askedHere is how many questions of one asker are asked at once.
const askedHere = 8

// untaken is how many bytes the other end has not read, as unix(7) counts them.
func untaken(t *testing.T, conn *net.UnixConn) (n int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDoor has somebody ask without end, 300 times at once, and somebody else once in a while.
func TestDoor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.Command("cp", os.Args[0], filepath.Join(dir, "tests")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// What takes its time, as PAM does.
	script := "#!/bin/sh\ndd bs=2000 count=1 of=/dev/null 2>/dev/null\nsleep 1\nprintf '\\001\\000' >&0\n"
	if err := os.WriteFile(filepath.Join(dir, "totpd-password"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "password.sock")
	door := exec.Command(filepath.Join(dir, "tests"), "-test.run=^TestDoorProcess$")
	door.Env, door.Stderr = append(os.Environ(), doorAt+"="+at), os.Stderr
	if err := door.Start(); err != nil {
		t.Fatal(err)
	}
	defer door.Process.Kill()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(at); err == nil {
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatal("no door")
		}
	}
	ask := func(a password.Asker, gives time.Duration) error {
		conn, err := net.Dial("unix", at)
		if err != nil {
			return err
		}
		defer conn.Close()
		question, err := password.AppendQuestion(password.AppendAsker(nil, a), password.Question{User: "alice", Password: []byte("x")})
		if err != nil {
			return err
		}
		conn.SetDeadline(time.Now().Add(gives))
		if _, err := conn.Write(question); err != nil {
			return err
		}
		answer, err := password.ReadAnswer(conn)
		if err == nil && answer.Verdict != password.Right {
			err = errors.New("not right")
		}
		return err
	}
	// Who asks is read at once, and uses up no turn before there is a question.
	for range 10 * askedHere {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: at})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(password.AppendAsker(nil, password.Asker{RUser: "stopped"})); err != nil {
			t.Fatal(err)
		}
		for begun := time.Now(); untaken(t, conn) > 0; time.Sleep(time.Millisecond) {
			if time.Since(begun) > 2*time.Second {
				t.Fatal("nobody reads who asks")
			}
		}
	}
	if err := ask(password.Asker{RUser: "stopped"}, 3*time.Second); err != nil {
		t.Error("after questions that never came:", err)
	}
	stop := make(chan struct{})
	var mallorys sync.WaitGroup
	for range 300 {
		mallorys.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if ask(password.Asker{RUser: "mallory"}, 3*time.Second) != nil {
					time.Sleep(100 * time.Millisecond) // hung up on, or it took too long
				}
			}
		})
	}
	time.Sleep(time.Second)
	for i, a := range []password.Asker{{RHost: "192.0.2.7"}, {RUser: "uid 1000"}, {}, {RUser: "alice"}} {
		begun := time.Now()
		if err := ask(a, 10*time.Second); err != nil {
			t.Errorf("%+v: %v", a, err)
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("question %d took %v", i, took)
		}
	}
	close(stop)
	mallorys.Wait()
	// Who asks nothing keeps it from nothing, and it ends when nobody asks any more.
	ended := make(chan error, 1)
	go func() { ended <- door.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(7 * time.Second):
		t.Error("it didn't end")
	}
	if err := ask(password.Asker{}, time.Second); err == nil {
		t.Error(fmt.Sprint("asked ", at))
	}
}
