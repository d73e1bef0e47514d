package account

// Broken says that what is stored for a user can't be used, and why. Nothing of the record is quoted.
type Broken struct{ Why string }

func (b *Broken) Error() string { return "broken record: " + b.Why }

// SealedOtherwise is why a record is broken whose secrets the key doesn't open.
const SealedOtherwise = "sealed with another key, or altered"
