package otpauth

import (
	"encoding/base32"
	"errors"
	"strings"
	"unicode"
)

var unpadded = base32.StdEncoding.WithPadding(base32.NoPadding)

var (
	errBase32 = errors.New("the secret is not base32 (letters A to Z and digits 2 to 7)")
	errLength = errors.New("the secret is not base32: a character is missing, or is one too many")
)

// Base32 reads a secret as people and programs pass it on (RFC 4648 §6): any case, in groups with blanks or
// hyphens between, padded or not. Bits behind the last whole byte are dropped, as authenticators do. A length
// that no number of bytes has is an error: a character is missing or too many. Errors quote nothing.
func Base32(text string) ([]byte, error) {
	text = strings.TrimRight(Joined(text), "=")
	if text == "" {
		return nil, errors.New("no secret")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '2' || r > '7') }) {
		return nil, errBase32
	}
	if last := len(text) % 8; last == 1 || last == 3 || last == 6 {
		return nil, errLength
	}
	secret, err := unpadded.DecodeString(text)
	if err != nil {
		return nil, errBase32
	}
	return secret, nil
}

// Joined returns a secret in capital letters, without what people put between them.
func Joined(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '-' || unicode.IsSpace(r):
			return -1
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, text)
}

// Encode writes a secret in base32, without padding.
func Encode(secret []byte) string { return unpadded.EncodeToString(secret) }
