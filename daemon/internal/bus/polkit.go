package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Where polkit answers.
const (
	authority      = "org.freedesktop.PolicyKit1"
	authorityPath  = dbus.ObjectPath("/org/freedesktop/PolicyKit1/Authority")
	authorityIface = "org.freedesktop.PolicyKit1.Authority"
)

// Question is what polkit is asked: may this process do this?
type Question struct {
	UID         uint32            // of the process, from the kernel
	PID         int32             // likewise
	BusName     string            // the unique name that the process says it has on the bus
	Action      string            // as in the policy file
	Details     map[string]string // shown to whoever is asked for a password, and known to rules
	Interactive bool              // somebody may be asked for a password, which takes as long as a person takes
}

// Answer is polkit's. The zero value denies.
type Answer int

// The answers.
const (
	Denied     Answer = iota
	Authorized        // it may
	Challenge         // it might, once somebody has given a password; nobody was asked, or nobody could be
	Dismissed         // somebody was asked for a password and gave up
)

// patience is how long polkit may take for an answer that needs nobody: it may have to be started.
const patience = 5 * time.Second

// ErrNoBus is returned while there is no system bus.
var ErrNoBus = errors.New("there is no system bus")

// Authorize asks polkit, within ctx. It answers Authorized only when the bus says that the name belongs
// to a process with this uid and this pid, and polkit then authorizes that name. Whatever else happens
// is another answer or an error. A question whose ctx ends is withdrawn: no dialogue stays open.
func (b *Bus) Authorize(ctx context.Context, q Question) (Answer, error) {
	c := b.connection()
	switch {
	case c == nil:
		return Denied, ErrNoBus
	case !uniqueName(q.BusName):
		return Denied, errors.New("that is no unique name of a bus")
	}
	if !q.Interactive {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	// The name and the question go over one connection: to one bus, which never gives a name twice.
	if err := c.owns(ctx, q.BusName, q.UID, q.PID); err != nil {
		return Denied, fmt.Errorf("%s: %w", q.BusName, err)
	}
	return c.check(ctx, q, fmt.Sprintf("totpd-%d", b.questions.Add(1)))
}

// owns returns nil when name is that of the process with this uid and this pid.
func (c *conn) owns(ctx context.Context, name string, uid uint32, pid int32) error {
	has, err := c.credentials(ctx, name)
	switch {
	case err != nil:
		return err
	case has.uid != uid || has.pid != pid || pid <= 0:
		return fmt.Errorf("the name of process %d of uid %d, not of process %d of uid %d", has.pid, has.uid, pid, uid)
	}
	return nil
}

type credentials struct {
	uid uint32
	pid int32
}

// credentials are what the bus has from the kernel about the process that connected as name.
func (c *conn) credentials(ctx context.Context, name string) (credentials, error) {
	body, err := c.driver(ctx, "GetConnectionCredentials", name)
	if err != nil {
		return credentials{}, err
	}
	known := first[map[string]dbus.Variant](body)
	uid, hasUID := known["UnixUserID"].Value().(uint32)
	pid, hasPID := known["ProcessID"].Value().(uint32)
	if !hasUID || !hasPID || int64(pid) != int64(int32(pid)) {
		return credentials{}, errors.New("the bus doesn't know whose it is")
	}
	return credentials{uid, int32(pid)}, nil
}

// subject, as polkit's protocol has it.
type subject struct {
	Kind    string
	Details map[string]dbus.Variant
}

// check is polkit's CheckAuthorization, which can be withdrawn under the name ticket.
func (c *conn) check(ctx context.Context, q Question, ticket string) (Answer, error) {
	var flags uint32
	if q.Interactive {
		flags = 1 // AllowUserInteraction
	}
	who := subject{"system-bus-name", map[string]dbus.Variant{"name": dbus.MakeVariant(q.BusName)}}
	details := q.Details
	if details == nil {
		details = map[string]string{}
	}
	body, err := c.call(ctx, methodCall(authority, authorityPath, authorityIface, "CheckAuthorization",
		who, q.Action, details, flags, ticket))
	switch {
	case err != nil && ctx.Err() != nil:
		c.withdraw(ticket)
		return Denied, ctx.Err()
	case err != nil:
		return Denied, fmt.Errorf("ask polkit: %w", err)
	}
	result := first[[]any](body)
	if len(result) != 3 {
		return Denied, fmt.Errorf("ask polkit: %w", errLies)
	}
	authorized, known := result[0].(bool)
	challenge, alsoKnown := result[1].(bool)
	told, _ := result[2].(map[string]string)
	switch {
	case !known || !alsoKnown:
		return Denied, fmt.Errorf("ask polkit: %w", errLies)
	case authorized:
		return Authorized, nil
	case challenge:
		return Challenge, nil
	case told["polkit.dismissed"] != "":
		return Dismissed, nil
	}
	return Denied, nil
}

// withdraw takes a question back, so that polkit closes the dialogue that asks for a password.
func (c *conn) withdraw(ticket string) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	m := methodCall(authority, authorityPath, authorityIface, "CancelCheckAuthorization", ticket)
	m.Flags = dbus.FlagNoReplyExpected | dbus.FlagNoAutoStart
	c.send(ctx, m, nil)
}
