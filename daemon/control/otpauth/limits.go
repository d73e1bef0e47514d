package otpauth

import "fmt"

// The limits of a device.
const (
	SecretMin  = 10  // bytes: 80 bits, as old tokens have
	SecretMax  = 128 // bytes
	CounterMax = 1 << 53
)

// The values that are supported, for messages.
const (
	DigitsText = "6 or 8"
	PeriodText = "30 or 60"
)

// Digits says whether codes of n digits are supported.
func Digits(n int) bool { return n == 6 || n == 8 }

// Period says whether codes that change every n seconds are supported.
func Period(n int) bool { return n == 30 || n == 60 }

// Sized says what is wrong with the length of a secret.
func Sized(secret []byte) error {
	switch n := len(secret); {
	case n < SecretMin:
		return fmt.Errorf("the secret has %d bits, at least %d are needed", n*8, SecretMin*8)
	case n > SecretMax:
		return fmt.Errorf("the secret has %d bits, at most %d are accepted", n*8, SecretMax*8)
	}
	return nil
}
