# The PAM module. The linker's options are what makes it a guest: see guest.c, guest.ld and exports.map.
# --wrap sends the runtime's calls of these functions to guest.c.
MODULE_SOURCES = $(wildcard pam/*.go pam/*.c pam/*.h pam/guest.ld pam/exports.map daemon/wire/*.go) go.mod pam/module.mk
MODULE_LDFLAGS = -Wl,-T,$(CURDIR)/pam/guest.ld,--version-script=$(CURDIR)/pam/exports.map \
	-Wl,--wrap=pthread_create,--wrap=pthread_key_create,--wrap=pthread_getattr_np,--wrap=sigaction \
	-Wl,--wrap=mmap,--wrap=malloc,--wrap=free \
	-Wl,-z,defs,-z,relro,-z,now,-z,nodelete

# $(call module,CFLAGS,extra LDFLAGS)
# GOEXPERIMENT: the heap begins at its beginning, where guest.c asks for its first pages.
module = GOEXPERIMENT=norandomizedheapbase64 CGO_ENABLED=1 CGO_CFLAGS="$(1)" go build -trimpath -buildvcs=false -buildmode=c-shared \
	-ldflags '-s -w -buildid= -linkmode external -extldflags "$(2) $(MODULE_LDFLAGS)"' -o $@ ./pam && rm -f $(@:.so=.h)

build/pam_totpd.so: $(MODULE_SOURCES)
	@mkdir -p $(@D)
	@$(call module,-O2 -g,)

# For the tests: the C half under AddressSanitizer.
build/asan/pam_totpd.so: $(MODULE_SOURCES)
	@mkdir -p $(@D)
	@$(call module,-O1 -g -fsanitize=address -fno-omit-frame-pointer,-fsanitize=address)

# The C half with every warning an error; apart from the build, so that a newer compiler can't stop that.
.PHONY: module-warnings
module-warnings:
	@for f in pam/*.c; do gcc -std=gnu11 -O2 -Wall -Wextra -Wconversion -Werror -fsyntax-only "$$f" || exit 1; done
