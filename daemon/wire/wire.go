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
// A module that loses the daemon before the verdict begins the dialogue again, with the same LoginID. It hangs up
// once it has read the verdict, and not before: so the daemon knows whether anybody has heard it.
//
// In a combined login (Open.Combined) the person types password and code together, before anything has
// looked at the password. There the one Ask is a Combined one; the module keeps the password and answers
// with the code behind it, or hangs up when the password is wrong. The password is in no frame.
//
// A trial is an Open of a kind of its own. No module sends one: totpctl stands between the module and the
// daemon when it tries a login, and changes the kind of the module's Open on the way. A trial ends with the
// first thing that the daemon would do, and leaves nothing behind.
//
// How the dialogue may change: module and daemon are upgraded together, but not at one moment. A login
// program keeps the module that it has loaded, a screen locker for months; and between the unpacking of
// a package and the restart of the daemon, new modules meet the old daemon. So
//
//   - a daemon reads the Opens of every Version that was ever released, and sends no kind of frame,
//     style or outcome that the Open's Version doesn't know;
//   - a daemon that doesn't know the Version of an Open hangs up without a word, as it does today. A
//     module with a new Version keeps the one before it for a release: when it is hung up on before
//     anything has come, it begins again with that one, as it begins again anyway. A combined login has
//     no earlier Version to begin again with, and is denied by a daemon that doesn't know it;
//   - nothing changes its meaning within a Version. What is sent is never ignored: an unknown frame, a
//     byte too many, is an error on both sides.
package wire

// Version of the dialogue, first byte of every Open. A daemon that doesn't know it refuses. Version 2 came
// with Open.Columns and Open.Combined and the styles Combined, Optional and Proof; Oldest is still spoken.
const (
	Version = 2
	Oldest  = 1
)

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

// The messages.
const (
	KindOpen    Kind = 1 // module to daemon: who is logging in, through what, from where
	KindAnswer  Kind = 2 // module to daemon: what the person typed
	KindAsk     Kind = 3 // daemon to module: show a prompt and return what is typed
	KindTell    Kind = 4 // daemon to module: show a text
	KindVerdict Kind = 5 // daemon to module: the end
	KindTrial   Kind = 6 // totpctl to daemon: an Open to be tried
)

// Style says how an Ask or a Tell is shown.
type Style byte

// Styles of an Ask (Hidden, Visible) and of a Tell (Info, Error), as in pam_conv(3), and three more of an
// Ask for an Open of Version 2.
const (
	Hidden   Style = 0
	Visible  Style = 1
	Info     Style = 2
	Error    Style = 3
	Combined Style = 4 // hidden, in a combined login: password and code are typed together. Frame.Tails
	Optional Style = 5 // visible; a conversation that fails is an empty Answer, and the login goes on
	// Proof is not shown: the module answers by itself, with Proven where it knows that whoever logs in is the
	// user (the password is right, or sshd has verified a key), else with nothing.
	Proof Style = 6
)

// Proven is an Answer to an Ask of style Proof.
const Proven = "proven"

// TailsMax is how many lengths a Combined Ask may name, TailMax how long the tail of an answer may be.
const (
	TailsMax = 8
	TailMax  = 32
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
	ErrTails    ProtocolError = "lengths of a code out of range"
	ErrFlag     ProtocolError = "unknown flag"
)

// Frame is one decoded frame. Text and Tails point into the buffer given to Decode. It prints as redacted: the
// text of an Answer is a code.
type Frame struct {
	Kind    Kind
	Style   Style   // of an Ask or a Tell
	Outcome Outcome // of a Verdict
	Text    []byte  // of an Ask, a Tell or an Answer; of an Open or a trial: what DecodeOpen reads
	Tails   []byte  // of a Combined Ask: how many digits a code may have that follows the password at once
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
	if kind < KindOpen || kind > KindTrial {
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
	case KindOpen, KindTrial:
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
		if style > Proof || (kind == KindTell) != (style == Info || style == Error) {
			return Frame{}, ErrStyle
		}
		var tails []byte
		if style == Combined {
			var err error
			if tails, text, err = cutTails(text); err != nil {
				return Frame{}, err
			}
		}
		if len(text) == 0 || holdsNUL(text) {
			return Frame{}, ErrText
		}
		return Frame{Kind: kind, Style: style, Text: text, Tails: tails}, nil
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

// cutTails takes the lengths off a Combined Ask: one byte of how many, and one for each.
func cutTails(p []byte) (tails, text []byte, err error) {
	if len(p) == 0 || len(p) < 1+int(p[0]) {
		return nil, nil, ErrMissing
	}
	end := 1 + int(p[0])
	tails, text = p[1:end], p[end:]
	if !validTails(tails) {
		return nil, nil, ErrTails
	}
	return tails, text, nil
}

func validTails(tails []byte) bool {
	for _, n := range tails {
		if n == 0 || n > TailMax {
			return false
		}
	}
	return len(tails) <= TailsMax
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

// AppendAsk appends an Ask frame to dst, or returns an error and dst as it was. A Combined one is
// AppendCombined's.
func AppendAsk(dst []byte, style Style, text string) ([]byte, error) {
	if style == Combined {
		return dst, ErrStyle
	}
	return appendText(dst, KindAsk, style, nil, text)
}

// AppendCombined appends a Combined Ask to dst, or returns an error and dst as it was. tails are the numbers
// of digits that a code may have, the likeliest first; there may be none.
func AppendCombined(dst []byte, tails []byte, text string) ([]byte, error) {
	if !validTails(tails) {
		return dst, ErrTails
	}
	return appendText(dst, KindAsk, Combined, tails, text)
}

// AppendTell appends a Tell frame to dst, or returns an error and dst as it was.
func AppendTell(dst []byte, style Style, text string) ([]byte, error) {
	return appendText(dst, KindTell, style, nil, text)
}

func appendText(dst []byte, kind Kind, style Style, tails []byte, text string) ([]byte, error) {
	size := 1 + len(text)
	if style == Combined {
		size += 1 + len(tails)
	}
	if size > MaxPayload {
		return dst, ErrSize
	}
	before := len(dst)
	dst = append(dst, byte(kind), byte(size>>8), byte(size), byte(style))
	if style == Combined {
		dst = append(dst, byte(len(tails)))
		dst = append(dst, tails...)
	}
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
