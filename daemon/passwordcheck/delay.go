package main

// #cgo LDFLAGS: -lpam
// #include <security/pam_appl.h>
//
// static void at_once(int status, unsigned usec, void *data) { (void)status, (void)usec, (void)data; }
//
// static int dont_delay(pam_handle_t *pamh) { return pam_set_item(pamh, PAM_FAIL_DELAY, (const void *)at_once); }
import "C"

import (
	"reflect"

	"github.com/msteinert/pam/v2"
)

// dontDelay has libpam answer without the pause that modules ask for after a failure. In here that pause would hold
// one of few processes, and slow down everybody who waits for a turn; the guesser is slowed down by the login
// program's own stack, where the same modules ask for it.
//
// The library has no way to set this item, so the handle comes out of its Transaction.
func dontDelay(t *pam.Transaction) error {
	handle := reflect.ValueOf(t).Elem().FieldByName("handle").UnsafePointer()
	if status := C.dont_delay((*C.pam_handle_t)(handle)); status != C.PAM_SUCCESS {
		return pam.Error(status)
	}
	return nil
}
