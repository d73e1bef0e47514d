package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/totpd/totpd/daemon/internal/share"
)

// How many connections may be subscribed: all together, those of all users but root, and those of each
// user but root.
const (
	subscribersAll    = 256
	subscribersOthers = 192
	subscribersEach   = 8
)

// subscriber is a connection that signals are sent to.
type subscriber struct {
	uid  uint32
	user string // whose signals it gets; empty: everybody's
}

// subscribers are those of one connection to a bus: with it, they are gone.
type subscribers struct {
	mu     sync.Mutex
	byName map[string]subscriber
}

var errTooMany = errors.New("too many subscriptions")

// add takes a subscriber in, unless there are too many.
func (s *subscribers) add(name string, who subscriber) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.byName[name]; again {
		return nil
	}
	others, same := 0, 0
	for _, one := range s.byName {
		if one.uid != 0 {
			others++
		}
		if one.uid == who.uid {
			same++
		}
	}
	if len(s.byName) >= subscribersAll || who.uid != 0 && (others >= subscribersOthers || same >= subscribersEach) {
		return errTooMany
	}
	if s.byName == nil {
		s.byName = map[string]subscriber{}
	}
	s.byName[name] = who
	return nil
}

func (s *subscribers) none() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byName) == 0
}

func (s *subscribers) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byName, name)
}

func (s *subscribers) get(name string) (subscriber, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, ok := s.byName[name]
	return who, ok
}

// hearers are the names that t is sent to.
func (s *subscribers) hearers(t told) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, who := range s.byName {
		if who.user == "" || t.owner && who.user == t.user {
			names = append(names, name)
		}
	}
	return names
}

// subscribe takes in the connection that is called name. It returns whose signals go there.
func (l *link) subscribe(ctx context.Context, name string) (account string, err error) {
	if who, ok := l.subscribers.get(name); ok {
		return who.user, nil
	}
	has, err := l.credentials(ctx, name)
	if err != nil {
		return "", err
	}
	who := subscriber{uid: has.uid}
	if has.uid != 0 {
		if who.user, err = l.userOf(ctx, has.uid); err != nil {
			return "", fmt.Errorf("find the user of uid %d: %w", has.uid, err)
		}
		if who.user == "" { // it would be everybody's
			return "", errLies
		}
	}
	if err := l.subscribers.add(name, who); err != nil {
		return "", err
	}
	// Whoever left before that was seen to leave when there was nothing to remove.
	body, err := l.driver(ctx, "NameHasOwner", name)
	if err == nil && !first[bool](body) {
		err = errors.New("the caller has gone")
	}
	if err != nil {
		l.subscribers.remove(name)
		return "", err
	}
	return who.user, nil
}

// userOf is the user of a uid. One without a name is no subscriber, and keeps nobody else's from being looked up.
func (l *link) userOf(ctx context.Context, uid uint32) (string, error) {
	ctx = share.WithUID(ctx, uid)
	giveBack, err := l.lookups.Take(ctx)
	if err != nil {
		return "", errTooMany
	}
	defer giveBack()
	return l.bus.nameOf(ctx, uid)
}
