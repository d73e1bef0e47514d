package store

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/totpd/totpd/daemon/internal/account"
)

// decode reads the record that is stored for user, with its check sum: NULL in one that nobody has changed
// since schema 2, or that root has mended by hand. What it doesn't know, it refuses: written back, it would
// be lost. Its errors never quote the record.
func decode(user string, record []byte, sum sql.NullInt64) (account.Account, error) {
	if sum.Valid && sum.Int64 != sumOf(user, record) {
		return account.Account{}, &account.Broken{Why: "its check sum is wrong, so the disk has changed it, " +
			"or somebody by hand, who would also have to set sum to NULL"}
	}
	d := json.NewDecoder(bytes.NewReader(record))
	d.DisallowUnknownFields()
	var a account.Account
	if err := d.Decode(&a); err != nil {
		return account.Account{}, &account.Broken{Why: unquoted(err)}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return account.Account{}, &account.Broken{Why: "more than one JSON value"}
	}
	if a.User != inJSON(user) {
		return account.Account{}, &account.Broken{Why: "it is another user's"}
	}
	a.User = user
	if err := a.Valid(); err != nil {
		return account.Account{}, &account.Broken{Why: err.Error()}
	}
	return a, nil
}

func encode(a account.Account) ([]byte, error) {
	if err := a.Valid(); err != nil {
		return nil, fmt.Errorf("refused to store a broken record: %w", err)
	}
	return json.Marshal(a)
}

// inJSON is what encoding/json makes of a name: each byte that is not UTF-8 becomes U+FFFD.
func inJSON(user string) string {
	var b strings.Builder
	for _, r := range user {
		b.WriteRune(r)
	}
	return b.String()
}

// unquoted is the error's text without what it quotes of the record, which may be a sealed secret.
func unquoted(err error) string {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("not JSON at byte %d", syntax.Offset)
	case errors.As(err, &mismatch):
		return fmt.Sprintf("wrong type of %q at byte %d", mismatch.Field, mismatch.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON ends early"
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return "a field that this version of totpd doesn't know"
	}
	return "not the JSON of an account"
}

// shown is a name as it may stand in a log: as it is, or quoted where it could be mistaken for
// something else, or cut off.
func shown(name string) string {
	if len(name) > account.UserMax {
		return shown(name[:account.UserMax]) + "..."
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ':' {
			return strconv.Quote(name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}
