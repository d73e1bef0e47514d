// Package seal makes secrets unreadable at rest: whoever has the database but not the key learns
// nothing of them and can move none to another user or device. It owns the key, its file and the
// format of a sealed secret; it doesn't know what the secrets are for.
//
// Always true: the key and what is derived from it are never printed, whatever the format; a key file
// is made once and never overwritten; what does not open in full does not open at all.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
)

// keySize is the size of the key from which all others are derived (RFC 5869), in bytes.
const keySize = 32

// version is the first byte of what Seal returns: AES-256-GCM with a random nonce of 12 bytes,
// followed by the ciphertext and the tag of 16 bytes.
const version = 1

// Key seals and unseals. It may be used by several goroutines.
type Key struct {
	// Behind a pointer, since fmt prints the fields of a struct that has a Key in a field of its own
	// without asking Format.
	*derived
}

type derived struct {
	secrets cipher.AEAD
	hashes  []byte
	check   string
}

// newKey derives the keys. It keeps nothing of master.
func newKey(master []byte) (*Key, error) {
	secrets, err := hkdf.Key(sha256.New, master, nil, "totpd 1: seal secrets", keySize)
	if err != nil {
		return nil, err
	}
	check, err := hkdf.Key(sha256.New, master, nil, "totpd 1: key check value", 8)
	if err != nil {
		return nil, err
	}
	hashes, err := hkdf.Key(sha256.New, master, nil, "totpd 1: hash codes", keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secrets)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Key{&derived{secrets: aead, hashes: hashes, check: hex.EncodeToString(check)}}, nil
}

// Check is the key check value: two keys with the same one are the same key. It may be seen by all.
func (k *Key) Check() string { return k.check }

// Seal returns the secret so that only Open with the same key, user and device returns it.
func (k *Key) Seal(user, device string, secret []byte) []byte {
	return k.secrets.Seal([]byte{version}, nil, secret, owner(user, device))
}

// Open returns the secret that Seal was given. Its error never quotes it.
func (k *Key) Open(user, device string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != version {
		return nil, fmt.Errorf("unseal secret of device %s: not sealed in a way that this totpd knows", shown(device))
	}
	secret, err := k.secrets.Open(nil, nil, sealed[1:], owner(user, device))
	if err != nil {
		return nil, fmt.Errorf("unseal secret of device %s: sealed with another key or altered", shown(device))
	}
	return secret, nil
}

// owner binds a sealed secret to its user and device. The length keeps "ab", "c" from being "a", "bc".
func owner(user, device string) []byte {
	b := binary.BigEndian.AppendUint64([]byte("totpd secret\x00"), uint64(len(user)))
	return append(append(b, user...), device...)
}

const redacted = "[redacted]"

// errRedacted keeps a key out of every encoding.
var errRedacted = errors.New("a key is not encoded")

// Format keeps every verb of fmt from showing the key.
func (Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue keeps slog from showing the key.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps encoding/json and its like from showing the key: it fails.
func (Key) MarshalText() ([]byte, error) { return nil, errRedacted }

// shown is an ID as it may stand in a log: quoted where the database holds something strange.
func shown(id string) string {
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ':' {
			return strconv.Quote(id)
		}
	}
	return id
}
