package control

import (
	"fmt"
	"io"
)

// Secret is a string that is never printed.
type Secret string

// String and GoString redact; Format keeps every fmt verb from seeing more.
func (Secret) String() string             { return "[redacted]" }
func (Secret) GoString() string           { return "[redacted]" }
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }
