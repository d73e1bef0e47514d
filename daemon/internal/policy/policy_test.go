package policy

import (
	"testing"

	"github.com/totpd/totpd/daemon/internal/source"
)

func TestEverybodyIsOptional(t *testing.T) {
	for _, q := range []Question{{}, {User: "root", Service: "sshd"}, {User: "alice", Source: source.Of("alice", "::1", ""), MustEnrol: true}} {
		if d := Decide(q); d.Kind != Optional || d.Reason == "" {
			t.Errorf("%+v: %+v", q, d)
		}
	}
}
