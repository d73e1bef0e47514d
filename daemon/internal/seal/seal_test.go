package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func newFile(t *testing.T) string { return filepath.Join(t.TempDir(), "totpd.key") }

func mustCreate(t *testing.T, path string) *Key {
	t.Helper()
	k, err := LoadOrCreate(path, true)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Fatalf("error is %v, want one with %q", err, part)
	}
}

func TestSealAndOpen(t *testing.T) {
	path := newFile(t)
	k := mustCreate(t, path)
	secret := []byte("12345678901234567890")
	sealed := k.Seal("alice", "d1", secret)
	if bytes.Contains(sealed, secret[:4]) || bytes.Equal(sealed, k.Seal("alice", "d1", secret)) {
		t.Error("sealing shows the secret, or that two are the same")
	}
	again, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open("alice", "d1", sealed); err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("%q, %v", got, err)
	}
	if k.Check() != again.Check() || len(k.Check()) != 16 {
		t.Error("one key has two check values", k.Check(), again.Check())
	}
}

func TestOpenRefuses(t *testing.T) {
	k, other := mustCreate(t, newFile(t)), mustCreate(t, newFile(t))
	if k.Check() == other.Check() {
		t.Error("two keys have one check value")
	}
	sealed := k.Seal("alice", "d1", []byte("12345678901234567890"))
	refused := func(k *Key, user, device string, sealed []byte, want string) {
		t.Helper()
		secret, err := k.Open(user, device, sealed)
		wantError(t, err, want)
		if secret != nil {
			t.Error("a secret together with an error")
		}
	}
	const altered = "sealed with another key or altered"
	refused(other, "alice", "d1", sealed, "unseal secret of device d1: "+altered)
	refused(k, "bob", "d1", sealed, altered)
	refused(k, "alice", "d2", sealed, altered)
	refused(k, "alic", "ed1", sealed, altered)
	refused(k, "aliced", "1", sealed, altered)
	refused(k, "alice", "d\n1", sealed, `device "d\n1"`)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		refused(k, "alice", "d1", bad, "unseal secret")
		refused(k, "alice", "d1", sealed[:i], "unseal secret")
	}
	refused(k, "alice", "d1", append(bytes.Clone(sealed), 0), altered)
	refused(k, "alice", "d1", nil, "not sealed in a way")
}

// What was sealed by an earlier version must open for ever.
func TestFormatStaysReadable(t *testing.T) {
	path := newFile(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("0123456789ABCDEF", 4)), 0o400); err != nil {
		t.Fatal(err)
	}
	k, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if k.Check() != goldenCheck {
		t.Errorf("check value %s, want %s", k.Check(), goldenCheck)
	}
	sealed, err := hex.DecodeString(goldenSealed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open("alice", "d1", sealed); err != nil || string(got) != "12345678901234567890" {
		t.Errorf("%q, %v; sealed now: %x", got, err, k.Seal("alice", "d1", []byte("12345678901234567890")))
	}
}

const (
	goldenCheck  = "89f3cbcac26f4262"
	goldenSealed = "01b87e2acd15263cf1d2f873c3a83671afcfbc8e312ad15e1f43e4f55ce46d3763a72b9cce97c7034a6cf35f93f7fe53d2"
)

func TestKeyFile(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "totpd.key")
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 || info.Size() != fileSize {
		t.Errorf("%v, %d bytes, %v", info.Mode(), info.Size(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Error("left behind:", left)
	}
}

func TestManyStartAtOnceWithOneKey(t *testing.T) {
	path := newFile(t)
	var mu sync.Mutex
	checks := map[string]bool{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			k, err := LoadOrCreate(path, true)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			checks[k.Check()] = true
		})
	}
	wg.Wait()
	if len(checks) != 1 {
		t.Errorf("%d keys", len(checks))
	}
}

func TestLoadRefuses(t *testing.T) {
	good := strings.Repeat("5a", keySize) + "\n"
	write := func(content string, mode fs.FileMode) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(*testing.T, string)
		want    string
	}{
		{"empty", write("", 0o600), "must be one line of 64"},
		{"short", write(good[:60], 0o600), "must be one line of 64"},
		{"long", write(good+"5a", 0o600), "must be one line of 64"},
		{"two newlines", write(good+"\n", 0o600), "must be one line of 64"},
		{"not hexadecimal", write(strings.Repeat("xy", keySize), 0o600), "no hexadecimal digit"},
		{"readable by the group", write(good, 0o640), "chmod 0600"},
		{"readable by others", write(good, 0o604), "chmod 0600"},
		{"writable by the group", write(good, 0o620), "chmod 0600"},
		{"a directory", func(t *testing.T, path string) { _ = os.Mkdir(path, 0o700) }, "not a file"},
		{"a pipe", func(t *testing.T, path string) { _ = syscall.Mkfifo(path, 0o600) }, "not a file"},
		{"a link", func(t *testing.T, path string) {
			write(good, 0o600)(t, path+".real")
			_ = os.Symlink(path+".real", path)
		}, "a symbolic link"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := newFile(t)
			c.prepare(t, path)
			for _, mayCreate := range []bool{false, true} {
				_, err := LoadOrCreate(path, mayCreate)
				wantError(t, err, "read key "+path+": ")
				wantError(t, err, c.want)
				if strings.Contains(err.Error(), "5a5a") || strings.Contains(err.Error(), "xyxy") {
					t.Error("the error quotes the key:", err)
				}
			}
		})
	}
}

func TestMissingKey(t *testing.T) {
	path := newFile(t)
	_, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	_, err = LoadOrCreate(path, false)
	wantError(t, err, "no such file or directory, and the store is sealed with a key: restore")
	if _, err := os.Stat(path); err == nil {
		t.Error("it was made all the same")
	}
	_, err = LoadOrCreate(filepath.Join(path, "below"), true)
	wantError(t, err, "is missing: make it with install -d")
	if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = LoadOrCreate(path, true)
	wantError(t, err, "chmod go-w")
}

func TestCredential(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if path, ok := Credential(); ok {
		t.Error(path)
	}
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if path, ok := Credential(); ok {
		t.Error("a credential that isn't there:", path)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "/dev/null") // ENOTDIR, even for root
	path, ok := Credential()
	if _, err := Load(path); !ok || err == nil {
		t.Error("a credential that can't be looked at:", ok, err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	good := []byte(strings.Repeat("5a", keySize) + "\n")
	for mode, want := range map[fs.FileMode]bool{0o400: true, 0o440: true, 0o600: true, 0o444: false, 0o460: false} {
		name := filepath.Join(dir, credentialName)
		os.Remove(name)
		if err := os.WriteFile(name, good, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		path, ok := Credential()
		if !ok {
			t.Fatal("no credential")
		}
		if _, err := Load(path); (err == nil) != want {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

func TestKeysPrintRedacted(t *testing.T) {
	path := newFile(t)
	k := mustCreate(t, path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	master, _ := hex.DecodeString(strings.TrimSpace(string(content)))
	type holder struct {
		key  *Key
		val  Key
		Also Key
	}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T"} {
		for _, v := range []any{k, *k, holder{k, *k, *k}, &holder{k, *k, *k}, []Key{*k}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "key", k, "value", *k, "in", holder{k, *k, *k})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", k, "value", *k, "in", holder{k, *k, *k})
	for _, v := range []any{k, *k, holder{k, *k, *k}} {
		if encoded, err := json.Marshal(v); err == nil {
			t.Errorf("encoded as %s", encoded)
		}
	}
	text := strings.ToLower(out.String())
	for _, secret := range []string{
		string(content[:16]), string(master[:8]), fmt.Sprint(master[:4])[1:12], fmt.Sprintf("%#v", master[:4])[8:20],
	} {
		if strings.Contains(text, strings.ToLower(secret)) {
			t.Errorf("the key is shown in:\n%s", text)
		}
	}
	if !strings.Contains(text, redacted) {
		t.Error("nothing is redacted")
	}
}
