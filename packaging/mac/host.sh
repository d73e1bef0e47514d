#!/bin/bash
# host.sh selinux|apparmor [FILE.pp] - boots a Debian whose kernel enforces SELinux or AppArmor, with totpd
# installed and confined, and has it run story.sh. Prints the story's lines; the status is 0 when none of
# them is a failure.
#
# The kernel is user-mode Linux, Debian's package of it: an ordinary process of this machine, with both
# security modules in it. So nothing of the machine changes, and its own kernel may have neither.
#
# FILE.pp is the SELinux module, which is first linked into Debian's whole policy and looked at by rules.py.
# totpd is taken from build/stage, which "make world" makes. The base system is made once, below build/.
# Where there can be no such host (not root, or no user-mode Linux), it says so and does nothing.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
work=$top/build/mac
kind=${1:-}
failed=0
packages=systemd,systemd-sysv,libpam-systemd,dbus,polkitd,openssh-server,openssh-client,sudo,login,passwd
packages+=,procps,oathtool,apparmor,selinux-policy-default,policycoreutils,policycoreutils-python-utils,setools

die() {
	echo "host.sh: $*" >&2
	exit 1
}
skip() {
	echo "SKIPPED: a kernel with $kind: $*"
	exit 0
}
[ "$kind" = apparmor ] || { [ "$kind" = selinux ] && [ -f "${2:-}" ]; } || die "usage: host.sh selinux FILE.pp | host.sh apparmor"
[ "$(id -u)" = 0 ] || skip "not root"
command -v linux.uml >/dev/null || skip "user-mode Linux is not installed; Debian has it for amd64 alone"
[ -d "$top/build/stage/usr" ] || die "nothing is staged: run make world"

# The machine's own sources of Debian packages.
sources() {
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' | sort -u
}

make_base() {
	local made
	base=$work/base-$(sha256sum <<<"$packages" | cut -c1-12)
	[ ! -e "$base" ] || return 0
	rm -rf "$work"/base* # older ones, and those of a making that was interrupted
	[ -n "$(sources)" ] || apt-get update -q >&2
	made=$(mktemp -d "$work/base.XXXXXX")
	mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
		--aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' \
		--dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		bookworm "$made" - < <(sources) >&2
	chmod 755 "$made"
	mv "$made" "$base"
}

# A host with totpd, six people, and a code after the password for ssh, su and sudo.
make_tree() {
	local user service
	tree=$work/$kind
	rm -rf "$tree"
	cp -a "$base" "$tree"
	cp -a "$top/build/stage/." "$tree"
	install -D -m 755 "$top/packaging/mac/story.sh" "$tree/usr/local/sbin/story"
	install -D -m 755 "$top/packaging/mac/askpass.sh" "$tree/usr/local/bin/askpass"
	: >"$tree/etc/machine-id"
	echo mac >"$tree/etc/hostname"
	printf '127.0.0.1 localhost mac\n' >"$tree/etc/hosts"
	chroot "$tree" systemd-sysusers >&2
	# As the package does when it is installed.
	systemd-tmpfiles --root="$tree" --create totpd.conf >&2 # in there it wants /proc
	chroot "$tree" /usr/libexec/totpd/totpd -init >&2
	for user in ann dora eve fay stan uma; do chroot "$tree" useradd -m -s /bin/bash "$user"; done
	printf '%s\n' ann:pw-ann dora:pw-dora eve:pw-eve fay:pw-fay uma:pw-uma stan:pw-stan | chroot "$tree" chpasswd -c SHA512 -s 1000
	for service in sshd su sudo; do
		sed -i '/^@include common-auth/a auth required pam_totpd.so' "$tree/etc/pam.d/$service"
	done
	printf '[[rule]]\nrequire = "optional"\ngrace = 5\n' >>"$tree/etc/totpd/totpd.toml"
	sed -i '/pam_systemd/d' "$tree/etc/pam.d/common-session" # a systemd for each login takes this kernel 10 s
	printf 'KbdInteractiveAuthentication yes\nPasswordAuthentication no\n' >"$tree/etc/ssh/sshd_config.d/totpd.conf"
	echo 'stan ALL=(ALL) TYPE=sysadm_t ROLE=sysadm_r ALL' >"$tree/etc/sudoers.d/stan"

	# Whoever helps at the desk may see and disable the second factor of others.
	chroot "$tree" groupadd desk
	chroot "$tree" usermod -aG desk dora
	install -d "$tree/etc/polkit-1/rules.d"
	cat >"$tree/etc/polkit-1/rules.d/50-totpd.rules" <<-END
		polkit.addRule(function(action, subject) {
			if (action.id.indexOf("org.totpd.manage.") === 0 && subject.isInGroup("desk")) return polkit.Result.YES;
		});
	END

	# The key is a credential, which is the harder case.
	install -d -m 755 "$tree/etc/systemd/system/totpd.service.d"
	install -d -m 700 "$tree/etc/credstore"
	printf '[Service]\nLoadCredential=totpd.key:/etc/credstore/totpd.key\n' >"$tree/etc/systemd/system/totpd.service.d/key.conf"
	(umask 077 && od -An -tx1 -N32 -v /dev/urandom | tr -d ' \n' >"$tree/etc/credstore/totpd.key")

	install -m 644 "$top/packaging/mac/story.service" "$tree/etc/systemd/system/"
	systemctl --quiet --root="$tree" enable totpd.service story.service 2>/dev/null
	systemctl --quiet --root="$tree" mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
		e2scrub_all.timer e2scrub_reap.service fstrim.timer getty@tty1.service systemd-journald-audit.socket 2>/dev/null
	# Refusals go to the kernel's log, all of them, and nothing else does.
	install -d "$tree/etc/systemd/journald.conf.d"
	printf '[Journal]\nAudit=no\n' >"$tree/etc/systemd/journald.conf.d/audit.conf"
}

with_selinux() {
	# Every neverallow rule of the policy is checked too.
	echo 'expand-check=1' >>"$tree/etc/selinux/semanage.conf"
	cp "$1" "$tree/root/totpd.pp"
	chroot "$tree" semodule -N -i /root/totpd.pp 2>&1 | { grep -v 'not in password file' || true; } >&2
	(cd "$tree" && chroot . /usr/bin/python3 - etc/selinux/default/policy/policy.*) <"$top/packaging/mac/rules.py" || failed=1
	chroot "$tree" semanage login -N -a -s user_u uma 2>/dev/null
	chroot "$tree" semanage login -N -a -s user_u fay 2>/dev/null
	chroot "$tree" semanage login -N -a -s staff_u dora 2>/dev/null
	chroot "$tree" semanage login -N -a -s staff_u stan 2>/dev/null
	# Labels are ordinary attributes for a kernel without SELinux; setfiles reaches files through /proc.
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare -m sh -c 'mount -t proc proc "$1/proc" && chroot "$1" setfiles -F /etc/selinux/default/contexts/files/file_contexts /' \
		sh "$tree" >&2
	kernel=(selinux=1 enforcing=1)
}

with_apparmor() {
	systemctl --quiet --root="$tree" enable apparmor.service 2>/dev/null
	kernel=()
}

boot() {
	local log=$work/$kind.console
	rm -f "$work/$kind.img"
	truncate -s 1G "$work/$kind.img"
	mke2fs -q -t ext4 -d "$tree" "$work/$kind.img"
	timeout 600 linux.uml mem=1G "ubd0=$work/$kind.img" root=/dev/ubda rw "security=$kind" "${kernel[@]}" \
		sysctl.kernel.printk_ratelimit=0 con=null con0=null,fd:1 ssl=null quiet systemd.show_status=0 </dev/null >"$log" 2>&1 || {
		local status=$?
		# Debian 12's kernel has no room for the registers of processors with AMX: no program starts in it.
		if grep -q '^userspace - ptrace set fp regs failed' "$log"; then
			echo "SKIPPED: a kernel with $kind: user-mode Linux can't run programs on this processor"
			exit "$failed" # of what needs no kernel
		fi
		die "the kernel ended with status $status: see $log"
	}
	grep -q '^story: end' "$log" || die "the story did not reach its end: see $log"
	tr -d '\r' <"$log" | sed -n '/^story: begin/,/^story: end/p'
	! grep -q '^--- FAIL' "$log" || failed=1
}

install -d -m 700 "$work" # setuid programs lie there
exec 9>"$work/lock"
flock 9
make_base
make_tree
case $kind in
selinux) with_selinux "$2" ;;
apparmor) with_apparmor ;;
esac
boot
exit $failed
