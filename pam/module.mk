# The PAM module. The linker's options are what makes it a guest: see guest.c, guest.ld and exports.map.
# --wrap sends the runtime's calls of these functions to guest.c.
MODULE_SOURCES = $(wildcard pam/*.go pam/*.c pam/*.h pam/guest.ld pam/exports.map daemon/wire/*.go) go.mod pam/module.mk
MODULE_LDFLAGS = -Wl,-T,$$d/guest.ld,--version-script=$$d/exports.map \
	-Wl,--wrap=pthread_create,--wrap=pthread_key_create,--wrap=pthread_getattr_np,--wrap=sigaction \
	-Wl,-z,defs,-z,relro,-z,now,-z,nodelete

# $(call module,CFLAGS,extra LDFLAGS). The two files are copied to where no path can hold a space or a
# comma: neither survives the way to the linker.
module = d=$$(mktemp -d /tmp/totpd-module.XXXXXX) && trap 'rm -rf "$$d"' EXIT && cp pam/guest.ld pam/exports.map "$$d" && \
	CGO_ENABLED=1 CGO_CFLAGS="$(1)" go build -trimpath -buildvcs=false -buildmode=c-shared \
	-ldflags "-s -w -buildid= -linkmode external -extldflags '$(2) $(MODULE_LDFLAGS)'" -o $@ ./pam && rm -f $(@:.so=.h)

$(OUT)/pam_totpd.so: $(MODULE_SOURCES)
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
