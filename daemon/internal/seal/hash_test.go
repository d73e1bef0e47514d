package seal

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

func TestHash(t *testing.T) {
	k, other := mustCreate(t, newFile(t)), mustCreate(t, newFile(t))
	want := k.Hash("alice", "recovery", "7K3MQ2NDZX09")
	if len(want) != 32 || !bytes.Equal(want, k.Hash("alice", "recovery", "7K3MQ2NDZX09")) {
		t.Errorf("%x", want)
	}
	for name, got := range map[string][]byte{
		"another key":     other.Hash("alice", "recovery", "7K3MQ2NDZX09"),
		"another user":    k.Hash("bob", "recovery", "7K3MQ2NDZX09"),
		"another purpose": k.Hash("alice", "bypass", "7K3MQ2NDZX09"),
		"another text":    k.Hash("alice", "recovery", "7K3MQ2NDZX08"),
		"moved to user":   k.Hash("alicer", "ecovery", "7K3MQ2NDZX09"),
		"moved to text":   k.Hash("alice", "recover", "y7K3MQ2NDZX09"),
	} {
		if bytes.Equal(got, want) {
			t.Errorf("%s: the same hash", name)
		}
	}
}

// What was hashed by an earlier version must be recognised for ever.
func TestHashStaysTheSame(t *testing.T) {
	path := newFile(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("0123456789ABCDEF", 4)), 0o400); err != nil {
		t.Fatal(err)
	}
	k, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "af8f814f727896aeb896ef97080f09ba3c70e06c24527401d8e917adb29c3cb1" // made with Python's hmac
	if got := hex.EncodeToString(k.Hash("alice", "recovery", "7K3MQ2NDZX09")); got != golden {
		t.Errorf("%s, want %s", got, golden)
	}
}
