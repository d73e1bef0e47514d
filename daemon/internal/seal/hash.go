package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Hash is a keyed hash of 32 bytes (HMAC-SHA256) of what is recognised but never read back, such as a
// recovery code: for this user and this purpose alone, and of no use to whoever doesn't have the key.
func (k *Key) Hash(user, purpose, text string) []byte {
	mac := hmac.New(sha256.New, k.hashes)
	for _, part := range []string{user, purpose, text} {
		// The length keeps "ab", "c" from being "a", "bc".
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}
