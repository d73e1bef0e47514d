package server

import (
	"bytes"
	"io"
	"log"
	"time"

	"github.com/totpd/totpd/daemon/internal/audit"
)

// limitedLog writes what any local user can provoke: 20 lines at once of one person and one a second on average, so
// that nobody can crowd the journal. It says how many it left out.
type limitedLog struct {
	*log.Logger
	limit *audit.Limit
	now   func() time.Time
}

const burst = 20

func newLimitedLog(l *log.Logger) *limitedLog {
	if l == nil {
		l = log.New(io.Discard, "", 0)
	}
	return &limitedLog{Logger: l, limit: audit.NewLimit(burst, func(text string) { l.Print(text) }), now: time.Now}
}

// Printf writes a line that who has provoked, or counts it as left out.
func (l *limitedLog) Printf(who, format string, args ...any) {
	if l.limit.Allows(who, l.now()) {
		l.Logger.Printf(format, args...)
	}
}

// Write writes what net/http has to say.
func (l *limitedLog) Write(line []byte) (int, error) {
	l.Printf("totpctl", "%s", bytes.TrimSpace(line))
	return len(line), nil
}
