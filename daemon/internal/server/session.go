package server

import (
	"crypto/rand"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// sessionsMax is how many terminal sessions are known at once. Each holds a file open. What there is no room
// for takes the place of the one that was asked for longest ago.
const sessionsMax = 256

// sessions tells terminal sessions (setsid(2)) from each other, also from those that will have their number
// one day: a session gets a random name, which it keeps as long as the process lives that leads it. The name
// is nowhere but here, so it ends with the daemon too.
type sessions struct {
	mu  sync.Mutex
	all []terminalSession // in the order in which they were last asked for
}

type terminalSession struct {
	id     int
	leader int // a pidfd, which shows whether the leader lives, whoever has its number
	name   string
}

// of returns the name of the session that a process is in, or "" where that can't be told.
func (s *sessions) of(pid int32) string {
	if pid <= 0 { // in a namespace that this process doesn't see: 0 would ask about itself
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := unix.Getsid(int(pid))
	if err != nil || id <= 0 {
		return ""
	}
	// After that: whose leader is alive now was its leader then.
	s.all = slices.DeleteFunc(s.all, func(t terminalSession) bool {
		if alive(t.leader) {
			return false
		}
		unix.Close(t.leader)
		return true
	})
	if i := slices.IndexFunc(s.all, func(t terminalSession) bool { return t.id == id }); i >= 0 {
		t := s.all[i]
		s.all = append(slices.Delete(s.all, i, i+1), t)
		return t.name
	}
	leader, err := unix.PidfdOpen(id, 0)
	if err != nil { // it has ended, and left the session to others
		return ""
	}
	// Until it was opened, the number may have become another's.
	if again, err := unix.Getsid(int(pid)); err != nil || again != id || !alive(leader) {
		unix.Close(leader)
		return ""
	}
	if len(s.all) >= sessionsMax {
		unix.Close(s.all[0].leader)
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, terminalSession{id, leader, rand.Text()})
	return s.all[len(s.all)-1].name
}

// alive says whether the process of a pidfd has not ended: that makes it readable.
func alive(pidfd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
	return err == nil && n == 0
}
