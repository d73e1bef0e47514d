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
	name, entry := C.CString(path), C.CString("pam_sm_authenticate")
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(entry))
	handle := C.dlopen(name, C.RTLD_NOW)
	if handle == nil {
		return errors.New(strings.TrimPrefix(C.GoString(C.dlerror()), path+": "))
	}
	if C.dlsym(handle, entry) == nil {
		return errors.New("it is no PAM module: it has no pam_sm_authenticate")
	}
	return nil
}
