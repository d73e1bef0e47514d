// Package password asks totpd-password, a process of its own that runs as root, whether a password is
// a user's, and owns the few bytes that the two exchange. It judges no password itself, counts no
// failure and logs nothing.
//
// The PAM module asks totpd-password too, where it runs as root and a combined login's password has to be
// right before its code is judged: pam/password.c writes and reads the same bytes.
//
// Always true: one question is asked on one connection and answered once; what isn't understood is
// never "right"; neither a password nor a user's name is quoted in an error.
package password

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/totpd/totpd/daemon/internal/source"
)

// The longest user name, password and reason, in bytes.
const (
	UserMax     = 256
	PasswordMax = 1024
	ReasonMax   = 255
)

// The first byte of a question, and of what may come before it: see Asker.
const (
	version      = 1
	askerVersion = 2
)

// errQuestion and errAnswer are bytes that break the rules.
var (
	errQuestion = errors.New("malformed question")
	errAnswer   = errors.New("malformed answer")
)

// Question asks whether Password is User's. It prints as redacted.
type Question struct {
	User     string
	Password []byte
}

// Format redacts, whatever the verb.
func (Question) Format(s fmt.State, _ rune) { io.WriteString(s, "[redacted]") }

// Valid returns what is wrong with the question, or nil. An empty password is never asked about.
func (q Question) Valid() error {
	switch {
	case q.User == "" || len(q.User) > UserMax:
		return errors.New("a user name has 1 to 256 bytes")
	case len(q.Password) == 0 || len(q.Password) > PasswordMax:
		return errors.New("a password has 1 to 1024 bytes")
	case bytes.IndexByte([]byte(q.User), 0) >= 0 || bytes.IndexByte(q.Password, 0) >= 0:
		// libpam takes C strings: what follows the NUL would be ignored.
		return errors.New("a user name or password holds no NUL")
	}
	return nil
}

// AppendQuestion appends the question to dst, or returns an error and dst as it was: one byte of
// version, two of length of the rest (big endian), two of length of the user name, user name, password.
func AppendQuestion(dst []byte, q Question) ([]byte, error) {
	if err := q.Valid(); err != nil {
		return dst, err
	}
	dst = append(dst, version)
	dst = binary.BigEndian.AppendUint16(dst, uint16(2+len(q.User)+len(q.Password)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(q.User)))
	dst = append(dst, q.User...)
	return append(dst, q.Password...), nil
}

// Asker is on whose behalf a question is asked: PAM_RHOST and PAM_RUSER of the login, or the caller of totpctl.
// It comes before a question, so that whoever starts totpd-password can share it out without reading passwords:
// one byte of version, one of length of the rest, the remote host, a line feed, the user.
type Asker struct{ RHost, RUser string }

// askerItem is how much of each is told, in bytes.
const askerItem = 120

// AppendAsker appends the asker to dst.
func AppendAsker(dst []byte, a Asker) []byte {
	host, user := a.RHost[:min(len(a.RHost), askerItem)], a.RUser[:min(len(a.RUser), askerItem)]
	dst = append(dst, askerVersion, byte(len(host)+1+len(user)))
	dst = append(dst, host...)
	dst = append(dst, '\n')
	return append(dst, user...)
}

// parseAsker reads an asker from the beginning of a connection. It returns how many bytes it needs to see: more
// than there are, or where the question begins.
func parseAsker(begin []byte) (a Asker, need int) {
	switch {
	case len(begin) > 0 && begin[0] != askerVersion:
		return Asker{}, 0
	case len(begin) < 2:
		return Asker{}, 2
	case len(begin) < 2+int(begin[1]):
		return Asker{}, 2 + int(begin[1])
	}
	need = 2 + int(begin[1])
	a.RHost, a.RUser, _ = strings.Cut(string(begin[2:need]), "\n")
	return a, need
}

// key tells askers from each other.
func (a Asker) key() string { return source.Of("", a.RHost, a.RUser).Key() }

// QuestionMax is the size of the buffer that ReadQuestion needs.
const QuestionMax = 5 + UserMax + PasswordMax

// ReadQuestion reads one question into buf, which has room for QuestionMax bytes, whoever asks it. The password
// points into buf, so that clearing buf clears the password.
func ReadQuestion(r io.Reader, buf []byte) (Question, error) {
	if _, err := io.ReadFull(r, buf[:2]); err != nil {
		return Question{}, err
	}
	if buf[0] == askerVersion {
		if _, err := io.ReadFull(r, buf[2:2+int(buf[1])]); err != nil {
			return Question{}, err
		}
		if _, err := io.ReadFull(r, buf[:2]); err != nil {
			return Question{}, err
		}
	}
	if _, err := io.ReadFull(r, buf[2:3]); err != nil {
		return Question{}, err
	}
	size := int(binary.BigEndian.Uint16(buf[1:]))
	if buf[0] != version || size < 2 || 3+size > QuestionMax {
		return Question{}, errQuestion
	}
	body := buf[3 : 3+size]
	if _, err := io.ReadFull(r, body); err != nil {
		return Question{}, err
	}
	user := int(binary.BigEndian.Uint16(body))
	if 2+user > len(body) {
		return Question{}, errQuestion
	}
	q := Question{User: string(body[2 : 2+user]), Password: body[2+user:]}
	if q.Valid() != nil {
		return Question{}, errQuestion
	}
	return q, nil
}

// Verdict is what PAM says of a password. The zero value is no verdict.
type Verdict byte

// The verdicts.
const (
	Right  Verdict = 1 // it is the user's, and the account may be used
	Wrong  Verdict = 2 // it isn't
	Broken Verdict = 3 // PAM could not decide
	Barred Verdict = 4 // it is, but the account is expired or locked, or the password is too old
)

// Answer is a verdict with its reason, for the journal.
type Answer struct {
	Verdict Verdict
	Reason  string
}

// AppendAnswer appends the answer to dst: the verdict, one byte of length, the reason, cut to fit.
func AppendAnswer(dst []byte, a Answer) []byte {
	reason := a.Reason[:min(len(a.Reason), ReasonMax)]
	dst = append(dst, byte(a.Verdict), byte(len(reason)))
	return append(dst, reason...)
}

// ReadAnswer reads one answer and the end of the stream after it.
func ReadAnswer(r io.Reader) (Answer, error) {
	all, err := io.ReadAll(io.LimitReader(r, 2+ReasonMax+1))
	switch {
	case err != nil:
		return Answer{}, err
	case len(all) == 0:
		return Answer{}, io.EOF
	case len(all) < 2 || len(all) != 2+int(all[1]):
		return Answer{}, errAnswer
	}
	a := Answer{Verdict: Verdict(all[0]), Reason: string(all[2:])}
	if a.Verdict < Right || a.Verdict > Barred {
		return Answer{}, errAnswer
	}
	return a, nil
}
