package doctor

// #include <dlfcn.h>
// #include <stdlib.h>
import "C"

import (
	"errors"
	"strings"
	"unsafe"
)

// TryModule loads a PAM module as libpam does, and leaves it loaded. What a broken one does to the process
// is anybody's guess: give it one of its own.
func TryModule(path string) error {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle := C.dlopen(name, C.RTLD_NOW)
	if handle == nil {
		return errors.New(strings.TrimPrefix(C.GoString(C.dlerror()), path+": "))
	}
	for _, entry := range entries { // pam_loginuid has one alone: for sessions
		symbol := C.CString(entry)
		defer C.free(unsafe.Pointer(symbol))
		if C.dlsym(handle, symbol) != nil {
			return nil
		}
	}
	return errors.New("it is no PAM module: it has none of " + strings.Join(entries, ", "))
}

// entries are what libpam calls in a module: it needs one of them.
var entries = []string{"pam_sm_authenticate", "pam_sm_setcred", "pam_sm_acct_mgmt", "pam_sm_open_session", "pam_sm_close_session", "pam_sm_chauthtok"}
