package control

// ErrorCode says what went wrong; remedies are chosen by it.
type ErrorCode string

// The codes.
const (
	ErrBadRequest      ErrorCode = "bad_request"      // 400: malformed; Message says where
	ErrBadURI          ErrorCode = "bad_uri"          // 400
	ErrNotAllowed      ErrorCode = "not_allowed"      // 403: root only, or another's account; Action, where polkit may allow it
	ErrAuthenticate    ErrorCode = "authenticate"     // 403: polkit allows it after a password, which nobody was asked for
	ErrUnknownUser     ErrorCode = "unknown_user"     // 404: no such user on this host
	ErrAlreadyEnrolled ErrorCode = "already_enrolled" // 409: adding a device needs a code
	ErrNotEnrolled     ErrorCode = "not_enrolled"     // 409
	ErrNoPending       ErrorCode = "no_pending"       // 409: nothing to confirm, or its 10 minutes are over
	ErrWrongPassword   ErrorCode = "wrong_password"   // 403
	ErrWrongCode       ErrorCode = "wrong_code"       // 403
	ErrWait            ErrorCode = "wait"             // 429: RetryAfter seconds
	ErrLocked          ErrorCode = "locked"           // 429: root must help
	ErrUnavailable     ErrorCode = "unavailable"      // 503: store or password check don't work; the journal says why
	ErrBroken          ErrorCode = "broken"           // 503: the account's record can't be used; users tells why, and reset makes a new one
	ErrNotOffline      ErrorCode = "not_offline"      // 501: no daemon answers, and this needs one
	ErrNameTaken       ErrorCode = "name_taken"       // 409: another device has that name, or that key
	ErrNoDevice        ErrorCode = "no_device"        // 404: none has that name
	ErrLastDevice      ErrorCode = "last_device"      // 409: without it there would be no second factor
	ErrTooMany         ErrorCode = "too_many"         // 409: no room for one more
	ErrNoBypass        ErrorCode = "no_bypass"        // 404: none has that ID
	ErrBadImport       ErrorCode = "bad_import"       // 400: an imported user can't be kept as given; Message says what is wrong
	ErrForeign         ErrorCode = "foreign"          // 409: the account is another user's, or under a former name; adopt or reset resolves it
	ErrNoComputer      ErrorCode = "no_computer"      // 409: no remembered computer fits
)

// The codes that the client gives to what goes wrong before an answer of the daemon. The daemon never
// sends them.
const (
	ErrUnreachable ErrorCode = "unreachable" // nobody listens at the socket
	ErrForbidden   ErrorCode = "forbidden"   // the socket's mode keeps the caller out
	ErrTimeout     ErrorCode = "timeout"     // no whole answer in time; what was asked may have happened
	ErrBadAnswer   ErrorCode = "bad_answer"  // whoever answers isn't totpd, or another totpd than ours
	ErrNotStarted  ErrorCode = "not_started" // what answers without a daemon did not start, or ended too early
)

// Error is the body of every answer that is not 200.
type Error struct {
	Code       ErrorCode `json:"code"`
	Message    string    `json:"message"`
	RetryAfter int       `json:"retry_after,omitempty"` // seconds
	Reference  string    `json:"reference,omitempty"`   // finds the journal line
	Action     string    `json:"action,omitempty"`      // of polkit, with ErrNotAllowed and ErrAuthenticate
}

func (e *Error) Error() string { return e.Message }
