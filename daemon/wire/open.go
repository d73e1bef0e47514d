package wire

// LoginID is 16 random bytes in hexadecimal that the module made for one login, and tells nobody but the
// daemon. A login is the calls of the module on one PAM handle in one process, from the first to the one
// that ends well: accepted, or no code due. So two dialogues with one LoginID are one login: it lost the
// daemon in between, or the one before was refused and the person tries again.
// It is empty where no random bytes were to be had. It prints as redacted: whoever knew it could use
// the code of that login once more.
type LoginID string

// String and GoString redact.
func (LoginID) String() string   { return "[redacted id]" }
func (LoginID) GoString() string { return "[redacted id]" }

// Open begins a dialogue. The fields from User to AuthInfo are as PAM has them; an unset item is empty.
type Open struct {
	Version  byte   // of the dialogue that follows; 0, to AppendOpen only: the newest
	User     string // PAM_USER
	Service  string // PAM_SERVICE
	RHost    string // PAM_RHOST
	TTY      string // PAM_TTY
	RUser    string // PAM_RUSER
	AuthInfo string // SSH_AUTH_INFO_0 of the PAM environment: what sshd has verified already
	ID       LoginID
	Columns  uint16 // Version 2: of the terminal that the login program itself runs on; 0: not known
	Combined bool   // Version 2: password and code are typed together
	Trial    bool   // the frame is a KindTrial: nobody logs in
}

// fields lists the texts in the order of the frame. In Version 2 two bytes of Columns (big endian) and one
// that is 1 for Combined, else 0, follow them.
func (o *Open) fields() [7]*string {
	return [7]*string{&o.User, &o.Service, &o.RHost, &o.TTY, &o.RUser, &o.AuthInfo, (*string)(&o.ID)}
}

// rest is how many bytes follow the texts.
func rest(version byte) int {
	if version == Oldest {
		return 0
	}
	return 3
}

func (o *Open) validID() bool { return o.ID == "" || len(o.ID) == IDSize }

// DecodeOpen reads the content of an Open frame, or of a trial. The strings are copies.
func DecodeOpen(f Frame) (Open, error) {
	if f.Kind != KindOpen && f.Kind != KindTrial {
		return Open{}, ErrKind
	}
	p := f.Text
	if len(p) == 0 {
		return Open{}, ErrMissing
	}
	if p[0] < Oldest || p[0] > Version {
		return Open{}, ErrVersion
	}
	o := Open{Version: p[0], Trial: f.Kind == KindTrial}
	p = p[1:]
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
	switch more := rest(o.Version); {
	case len(p) < more:
		return Open{}, ErrMissing
	case len(p) > more:
		return Open{}, ErrTrailing
	case more > 0 && p[2] > 1:
		return Open{}, ErrFlag
	case more > 0:
		o.Columns, o.Combined = uint16(p[0])<<8|uint16(p[1]), p[2] == 1
	}
	if !o.validID() {
		return Open{}, ErrID
	}
	return o, nil
}

// AppendOpen appends an Open frame, or that of a trial, to dst, or returns an error and dst as it was. What the Version doesn't
// know is an error: ErrVersion.
func AppendOpen(dst []byte, o *Open) ([]byte, error) {
	version := o.Version
	if version == 0 {
		version = Version
	}
	if version < Oldest || version > Version || version == Oldest && (o.Columns != 0 || o.Combined) {
		return dst, ErrVersion
	}
	if !o.validID() {
		return dst, ErrID
	}
	size := 1 + rest(version)
	for _, field := range o.fields() {
		if len(*field) > MaxPayload {
			return dst, ErrSize
		}
		size += 2 + len(*field)
	}
	if size > MaxPayload {
		return dst, ErrSize
	}
	kind := KindOpen
	if o.Trial {
		kind = KindTrial
	}
	dst = append(dst, byte(kind), byte(size>>8), byte(size), version)
	for _, field := range o.fields() {
		dst = append(dst, byte(len(*field)>>8), byte(len(*field)))
		dst = append(dst, *field...)
	}
	if version > Oldest {
		dst = append(dst, byte(o.Columns>>8), byte(o.Columns), 0)
		if o.Combined {
			dst[len(dst)-1] = 1
		}
	}
	return dst, nil
}
