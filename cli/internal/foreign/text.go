package foreign

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// Text returns the text of a file in UTF-8, without a byte order mark. It reads UTF-16, which other systems
// write, by its mark or as the beginning of an XML document.
func Text(file []byte) string {
	text := string(file)
	for _, begin := range []string{"\xff\xfe", "<\x00"} {
		if strings.HasPrefix(text, begin) {
			return fromUTF16(file, binary.LittleEndian)
		}
	}
	for _, begin := range []string{"\xfe\xff", "\x00<"} {
		if strings.HasPrefix(text, begin) {
			return fromUTF16(file, binary.BigEndian)
		}
	}
	return strings.TrimPrefix(text, byteOrderMark)
}

const byteOrderMark = "\ufeff"

func fromUTF16(file []byte, order binary.ByteOrder) string {
	units := make([]uint16, 0, len(file)/2)
	for ; len(file) > 1; file = file[2:] {
		units = append(units, order.Uint16(file))
	}
	return strings.TrimPrefix(string(utf16.Decode(units)), byteOrderMark)
}
