// Package wire is the login dialogue between the PAM module and the daemon: its messages and their
// frames, and nothing else. It reads and writes byte slices; it owns no socket, no time and no text.
//
// A frame is one byte of kind, two bytes of payload length (big endian) and the payload, at most
// MaxPayload bytes. The module speaks first and once with an Open; then each Ask of the daemon is
// answered by one Answer, Tells need no answer, and one Verdict ends the dialogue:
//
//	module  Open ->        Answer ->        Answer ->
//	daemon         <- Ask           <- Tell
//	                                <- Ask           <- Verdict
//
// Always true: what decodes encodes again to the same bytes; a decoder that returns an error returns
// nothing else; no text holds a NUL, since the module hands it to C.
//
// The package is part of the PAM module, which lives in other people's processes. It allocates
// nothing when the caller's buffer has room, and imports nothing.
//
// A module that loses the daemon before the verdict begins the dialogue again, with the same LoginID.
//
// How the dialogue may change: module and daemon are upgraded together, but not at one moment. A login
// program keeps the module that it has loaded, a screen locker for months; and between the unpacking of
// a package and the restart of the daemon, new modules meet the old daemon. So
//
//   - a daemon reads the Opens of every Version that was ever released, and sends no kind of frame,
//     style or outcome that the Open's Version doesn't know;
//   - a daemon that doesn't know the Version of an Open hangs up without a word, as it does today. A
//     module with a new Version keeps the one before it for a release: when it is hung up on before
//     anything has come, it begins again with that one, as it begins again anyway;
//   - nothing changes its meaning within a Version. What is sent is never ignored: an unknown frame, a
//     byte too many, is an error on both sides.
package wire

// Version of the dialogue, first byte of every Open. A daemon that doesn't know it refuses.
const Version = 1

// Limits of a frame, in bytes.
const (
	HeaderSize = 3
	MaxPayload = 16 << 10
	MaxFrame   = HeaderSize + MaxPayload
)

// MaxAnswer is the longest answer a person may type, in bytes; a longer one is never sent.
const MaxAnswer = 512

// IDSize is the length of a LoginID that isn't empty, in bytes.
const IDSize = 32

// Kind is the first byte of a frame.
type Kind byte

// The five messages.
const (
	KindOpen    Kind = 1 // module to daemon: who is logging in, through what, from where
	KindAnswer  Kind = 2 // module to daemon: what the person typed
	KindAsk     Kind = 3 // daemon to module: show a prompt and return what is typed
	KindTell    Kind = 4 // daemon to module: show a text
	KindVerdict Kind = 5 // daemon to module: the end
)

// Style says how an Ask or a Tell is shown.
type Style byte

// Styles of an Ask (Hidden, Visible) and of a Tell (Info, Error), as in pam_conv(3).
const (
	Hidden  Style = 0
	Visible Style = 1
	Info    Style = 2
	Error   Style = 3
)

// Outcome is what a Verdict says. The zero value is no outcome.
type Outcome byte

// The outcomes, and what the module returns to PAM for each.
const (
	Accepted    Outcome = 1 // PAM_SUCCESS; only after an Answer
	NotDue      Outcome = 2 // PAM_IGNORE: the policy says that no code is due
	Refused     Outcome = 3 // PAM_AUTH_ERR
	Unavailable Outcome = 4 // PAM_AUTHINFO_UNAVAIL: the daemon could not decide
)

// LoginID is 16 random bytes in hexadecimal that one call of the module made for itself, and tells
// nobody but the daemon. Two dialogues with one LoginID are one login that lost the daemon in between.
// It is empty where no random bytes were to be had. It prints as redacted: whoever knew it could use
// the code of that login once more.
type LoginID string

// String and GoString redact.
func (LoginID) String() string   { return "[redacted id]" }
func (LoginID) GoString() string { return "[redacted id]" }

// Open begins a dialogue. Every field but ID is as PAM has it; an unset item is empty.
type Open struct {
	User     string // PAM_USER
	Service  string // PAM_SERVICE
	RHost    string // PAM_RHOST
	TTY      string // PAM_TTY
	RUser    string // PAM_RUSER
	AuthInfo string // SSH_AUTH_INFO_0 of the PAM environment: what sshd has verified already
	ID       LoginID
}

// fields lists them in the order of the frame.
func (o *Open) fields() [7]*string {
	return [7]*string{&o.User, &o.Service, &o.RHost, &o.TTY, &o.RUser, &o.AuthInfo, (*string)(&o.ID)}
}

func (o *Open) validID() bool { return o.ID == "" || len(o.ID) == IDSize }

// ProtocolError is a frame that breaks the rules. It never quotes the frame.
type ProtocolError string

func (e ProtocolError) Error() string { return "login dialogue: " + string(e) }

// The ways in which a frame can break the rules.
const (
	ErrKind     ProtocolError = "unknown kind of frame"
	ErrSize     ProtocolError = "frame longer than allowed"
	ErrMissing  ProtocolError = "frame shorter than its kind needs"
	ErrTrailing ProtocolError = "bytes after the end of the message"
	ErrVersion  ProtocolError = "unknown version of the dialogue"
	ErrStyle    ProtocolError = "unknown style"
	ErrOutcome  ProtocolError = "unknown outcome"
	ErrText     ProtocolError = "text is empty or holds a NUL"
	ErrID       ProtocolError = "login id of a wrong length"
)

// Frame is one decoded frame. Text points into the buffer given to Decode. It prints as redacted: the
// text of an Answer is a code.
type Frame struct {
	Kind    Kind
	Style   Style   // of an Ask or a Tell
	Outcome Outcome // of a Verdict
	Text    []byte  // of an Ask, a Tell or an Answer; of an Open: what DecodeOpen reads
}

// String and GoString redact.
func (Frame) String() string   { return "[redacted frame]" }
func (Frame) GoString() string { return "[redacted frame]" }

// Decode reads the frame at the start of buf. It returns how many bytes the frame takes, or 0 and no
// error when buf holds only a part of it. An Open's content is checked and read by DecodeOpen.
func Decode(buf []byte) (f Frame, n int, err error) {
	if len(buf) == 0 {
		return Frame{}, 0, nil
	}
	kind := Kind(buf[0])
	if kind < KindOpen || kind > KindVerdict {
		return Frame{}, 0, ErrKind
	}
	if len(buf) < HeaderSize {
		return Frame{}, 0, nil
	}
	size := int(buf[1])<<8 | int(buf[2])
	if size > MaxPayload || (kind == KindAnswer && size > MaxAnswer) {
		return Frame{}, 0, ErrSize
	}
	if len(buf) < HeaderSize+size {
		return Frame{}, 0, nil
	}
	f, err = decodePayload(kind, buf[HeaderSize:HeaderSize+size])
	if err != nil {
		return Frame{}, 0, err
	}
	return f, HeaderSize + size, nil
}

func decodePayload(kind Kind, p []byte) (Frame, error) {
	switch kind {
	case KindOpen:
		return Frame{Kind: kind, Text: p}, nil
	case KindAnswer:
		if holdsNUL(p) {
			return Frame{}, ErrText
		}
		return Frame{Kind: kind, Text: p}, nil
	}
	if len(p) == 0 {
		return Frame{}, ErrMissing
	}
	code, text := p[0], p[1:]
	switch kind {
	case KindAsk, KindTell:
		style := Style(code)
		if kind == KindAsk && style > Visible || kind == KindTell && (style < Info || style > Error) {
			return Frame{}, ErrStyle
		}
		if len(text) == 0 || holdsNUL(text) {
			return Frame{}, ErrText
		}
		return Frame{Kind: kind, Style: style, Text: text}, nil
	case KindVerdict:
		if code < byte(Accepted) || code > byte(Unavailable) {
			return Frame{}, ErrOutcome
		}
		if len(text) != 0 {
			return Frame{}, ErrTrailing
		}
		return Frame{Kind: kind, Outcome: Outcome(code)}, nil
	}
	return Frame{}, ErrKind
}

// DecodeOpen reads the content of an Open frame. The strings are copies.
func DecodeOpen(f Frame) (Open, error) {
	if f.Kind != KindOpen {
		return Open{}, ErrKind
	}
	p := f.Text
	if len(p) == 0 {
		return Open{}, ErrMissing
	}
	if p[0] != Version {
		return Open{}, ErrVersion
	}
	p = p[1:]
	var o Open
	for _, field := range o.fields() {
		if len(p) < 2 {
			return Open{}, ErrMissing
		}
		n := int(p[0])<<8 | int(p[1])
		if len(p) < 2+n {
			return Open{}, ErrMissing
		}
		text := p[2 : 2+n]
		if holdsNUL(text) {
			return Open{}, ErrText
		}
		*field = string(text)
		p = p[2+n:]
	}
	if len(p) != 0 {
		return Open{}, ErrTrailing
	}
	if !o.validID() {
		return Open{}, ErrID
	}
	return o, nil
}

// AppendOpen appends an Open frame to dst, or returns ErrSize or ErrID and dst as it was.
func AppendOpen(dst []byte, o *Open) ([]byte, error) {
	if !o.validID() {
		return dst, ErrID
	}
	size := 1
	for _, field := range o.fields() {
		if len(*field) > MaxPayload {
			return dst, ErrSize
		}
		size += 2 + len(*field)
	}
	if size > MaxPayload {
		return dst, ErrSize
	}
	dst = append(dst, byte(KindOpen), byte(size>>8), byte(size), Version)
	for _, field := range o.fields() {
		dst = append(dst, byte(len(*field)>>8), byte(len(*field)))
		dst = append(dst, *field...)
	}
	return dst, nil
}

// AppendAnswer appends an Answer frame to dst, or returns ErrSize or ErrText and dst as it was.
func AppendAnswer(dst, text []byte) ([]byte, error) {
	if len(text) > MaxAnswer {
		return dst, ErrSize
	}
	if holdsNUL(text) {
		return dst, ErrText
	}
	dst = append(dst, byte(KindAnswer), byte(len(text)>>8), byte(len(text)))
	return append(dst, text...), nil
}

// AppendAsk appends an Ask frame to dst, or returns an error and dst as it was.
func AppendAsk(dst []byte, style Style, text string) ([]byte, error) {
	return appendText(dst, KindAsk, style, text)
}

// AppendTell appends a Tell frame to dst, or returns an error and dst as it was.
func AppendTell(dst []byte, style Style, text string) ([]byte, error) {
	return appendText(dst, KindTell, style, text)
}

func appendText(dst []byte, kind Kind, style Style, text string) ([]byte, error) {
	size := 1 + len(text)
	if size > MaxPayload {
		return dst, ErrSize
	}
	before := len(dst)
	dst = append(dst, byte(kind), byte(size>>8), byte(size), byte(style))
	dst = append(dst, text...)
	if _, err := decodePayload(kind, dst[before+HeaderSize:]); err != nil {
		return dst[:before], err
	}
	return dst, nil
}

// AppendVerdict appends a Verdict frame to dst.
func AppendVerdict(dst []byte, o Outcome) []byte {
	return append(dst, byte(KindVerdict), 0, 1, byte(o))
}

func holdsNUL(p []byte) bool {
	for _, b := range p {
		if b == 0 {
			return true
		}
	}
	return false
}
