package policy

import "testing"

func TestEverybodyIsOptional(t *testing.T) {
	for _, q := range []Question{{}, {User: "root", Service: "sshd"}, {User: "alice", RHost: "::1", Enrolled: true}} {
		if d := Decide(q); d.Kind != Optional || d.Reason == "" {
			t.Errorf("%+v: %+v", q, d)
		}
	}
}
