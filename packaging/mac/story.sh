#!/bin/bash
# The story of a host that confines totpd: everything that a day brings works, nothing is refused on the
# way, and what must be refused is. Runs as root inside; see host.sh.
set -u
export SECRET=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP DISPLAY=:0 SSH_ASKPASS=/usr/local/bin/askpass SSH_ASKPASS_REQUIRE=force
kind=apparmor shell=()
if selinuxenabled; then
	kind=selinux shell=(runcon unconfined_u:unconfined_r:unconfined_t:s0) # where a shell of root's runs
fi

# check NAME COMMAND... - one line, and what the command said when it failed.
check() {
	local name=$1 said began=$SECONDS
	shift
	if said=$("$@" 2>&1); then
		echo "--- PASS: $kind/$name ($((SECONDS - began)) s)"
	else
		echo "--- FAIL: $kind/$name ($((SECONDS - began)) s)"
		{ echo "$said" && journalctl -q --no-pager -o short-monotonic -n 12 -u 'totpd*'; } | sed 's/^/    /'
	fi
}

refused() { ! "$@"; }

says() { # says TEXT COMMAND...
	local text=$1 said
	shift
	said=$("$@" 2>&1)
	echo "$said"
	grep -qF -- "$text" <<<"$said"
}

login() { # login USER COMMAND [OPTION...]: by ssh, with password and code
	WHO=$1 setsid -w ssh -q -o StrictHostKeyChecking=no -o NumberOfPasswordPrompts=1 "${@:3}" "$1@localhost" "$2"
}

label() { tr -d '\0' </proc/"$(systemctl show -P MainPID "$1")"/attr/current; }

enrol() { for user in ann dora eve fay stan uma; do echo "otpauth://totp/mac:$user?secret=$SECRET" | totpctl enrol "$user" --uri - || return; done; }

key_is_credential() { [ -s /run/credentials/totpd.service/totpd.key ] && [ ! -e /var/lib/totpd/totpd.key ]; }

restart() { systemctl reload totpd && systemctl restart totpd && totpctl users && systemctl stop totpd && totpctl users; }

one_prompt() { sed -i 's/^auth required pam_totpd.so$//; s/^@include common-auth/auth required pam_totpd.so prompt=combined\n&/' /etc/pam.d/sshd; }

# Nothing of ours was refused. The tests that provoke a refusal come after this one.
no_denial() {
	local denied
	denied=$(journalctl -q --no-pager -o cat _TRANSPORT=kernel |
		grep -E 'denied|DENIED' | grep -E 'totpd|totpctl|comm="(sshd|su|sudo)".*totpd')
	echo "$denied"
	[ -z "$denied" ]
}

echo "story: begin ($(cat /sys/kernel/security/lsm))"
if [ $kind = selinux ]; then
	check enforcing says Enforcing getenforce
	check domain says :totpd_t: label totpd
else
	check profile says 'totpd (enforce)' label totpd
	check profiles_of_others says totpd/login.sock apparmor_parser -Q --preprocess /dev/stdin <<<'include <tunables/global>
profile other { include <abstractions/authentication> }'
fi
check no_unit_failed says '0 loaded units' systemctl --failed --no-pager
check credential key_is_credential
# Nothing keeps this kernel's clock right, and the sandbox lets the daemon ask the kernel.
check clock says "the host's clock is not synchronised" journalctl -q --no-pager -u totpd
check clock_is_known refused says 'is not known' journalctl -q --no-pager -u totpd
check enrol_by_root enrol
check ssh_password_and_code says 'second factor:  on' login ann 'totpctl status'
SECRET=GEZDGNBVGY3TQOJQ check ssh_with_a_wrong_code refused login eve true
# The code of the step after this one: the present one may have been used up by the login before.
next="oathtool --totp --base32 $SECRET -N '+30 sec'"
check ssh_of_a_user_then_su says 'totpd ' login uma \
	"(echo pw-ann; sleep 2; $next) | su -c 'totpctl version' ann"
# The second time without a code: it is the same terminal session.
check ssh_of_staff_then_sudo_twice says 'uid=0(root)' login stan \
	"(echo pw-stan; sleep 2; $next) |
		sudo -S bash -c 'systemctl reload totpd && totpctl users | grep ^ann && totpctl --offline status ann' &&
	echo pw-stan | sudo -k -S id" -tt
check desk_by_polkit says 'ann ' login dora 'totpctl users'
check subscribe_on_the_bus says 's "fay"' login fay 'busctl call org.totpd /org/totpd org.totpd.Events Subscribe'
check reload_restart_stop restart
check offline_beside_the_daemon "${shell[@]}" totpctl --offline status eve
check disable_by_root totpctl disable ann --yes
check enrol_with_password says '"outcome":"malformed"' login ann 'printf "pw-ann\nno code\n" | totpctl enrol --json'
check enrol_with_wrong_password says 'wrong password' login ann 'echo wrong | totpctl enrol --json'
check one_prompt one_prompt
check ssh_with_one_prompt login eve true
check nothing_was_refused no_denial
if [ $kind = selinux ]; then
	check totpd_runs_no_other_program refused runcon -t totpd_t -r system_r /bin/true
	check user_t_reads_no_account refused runcon user_u:user_r:user_t:s0 cat /var/lib/totpd/totpd.db
else
	check totpd_runs_no_other_program refused aa-exec -p totpd -- sh -c /bin/true
	check totpd_reads_no_password refused aa-exec -p totpd -- cat /etc/shadow
fi
check and_refusals_are_seen refused no_denial
echo "story: end (after $(cut -d' ' -f1 /proc/uptime) s)"
