"""rules.py POLICY - asks a whole SELinux policy, with our module in it, who may do what: what must be
allowed for logins to work, and what nobody may be given by a slip of the module. For the Python of the
host that host.sh makes, which has setools."""

import sys

import setools

POLICY = setools.SELinuxPolicy(sys.argv[1])
DOMAINS = " ".join(str(t) for t in POLICY.lookup_typeattr("domain").expand())
failed = False

# The allow rules by source and target, each a type or an attribute. Not those of booleans, which are the
# administrator's to turn.
rules = {}
for rule in POLICY.terules():
    if rule.ruletype == setools.TERuletype.allow:
        try:
            rule.conditional
        except setools.exception.RuleNotConditional:
            rules.setdefault((str(rule.source), str(rule.target)), []).append(rule)


def names(domain):
    """A type and its attributes, as which rules may name it."""
    return [domain] + [str(a) for a in POLICY.lookup_type(domain).attributes()]


def allowed(source, targets, tclass, perms):
    """The rules that let a domain have one of perms on one of targets."""
    return [r for s in names(source) for target in targets.split() for t in names(target)
            for r in rules.get((s, t), ()) if str(r.tclass) == tclass and set(perms.split()) & set(r.perms)]


def check(name, good, found):
    global failed
    failed = failed or not good
    print(f"--- {'PASS' if good else 'FAIL'}: selinux/rules/{name}")
    if not good:
        for rule in found:
            print(f"    {rule}")


def may(name, *what):
    check(name, bool(allowed(*what)), [])


def may_not(name, *what):
    found = allowed(*what)
    check(name, not found, found)


# Where PAM runs, and where totpctl does.
for domain in """sshd_t local_login_t xdm_t newrole_t crond_t policykit_auth_t vlock_t xscreensaver_t user_su_t
        staff_su_t sysadm_su_t user_sudo_t staff_sudo_t sysadm_sudo_t user_t staff_t sysadm_t unconfined_t""".split():
    may(f"{domain}_may_ask", domain, "totpd_t", "unix_stream_socket", "connectto")
    may(f"{domain}_reaches_the_socket", domain, "totpd_var_run_t", "sock_file", "write")

# The accounts and their key are the daemon's.
for domain in "sshd_t httpd_t user_t staff_t user_su_t staff_sudo_t xscreensaver_t chkpwd_t totpd_password_t".split():
    may_not(f"{domain}_has_no_account", domain, "totpd_var_lib_t", "file", "read write create unlink relabelfrom")
may("totpd_t_keeps_accounts", "totpd_t", "totpd_var_lib_t", "file", "write")
may_not("totpd_t_changes_no_setting", "totpd_t", "totpd_etc_t", "file", "write append create unlink setattr")
may_not("totpd_t_sees_no_backup_of_setup", "totpd_t", "totpd_setup_var_lib_t", "dir", "read search")

# The daemon can do nothing else: no capability, no program, no password.
may_not("totpd_t_has_no_capability", "totpd_t", "totpd_t", "capability",
        "setuid setgid dac_override dac_read_search sys_ptrace sys_admin net_admin net_bind_service chown kill")
may_not("totpd_t_runs_no_shell", "totpd_t", "shell_exec_t", "file", "execute execute_no_trans")
may_not("totpd_t_runs_no_program", "totpd_t", "bin_t", "file", "execute execute_no_trans")
may_not("totpd_t_stays_in_its_domain", "totpd_t", DOMAINS, "process", "transition dyntransition")
may_not("totpd_t_reads_no_password", "totpd_t", "shadow_t", "file", "read open")
may_not("totpd_t_has_no_writable_code", "totpd_t", "totpd_t", "process", "execmem execstack execheap")

# Nobody but the daemon asks for passwords, and where people log in, as root.
for domain in "totpd_t sshd_t local_login_t user_su_t staff_sudo_t".split():
    may(f"{domain}_asks_for_passwords", domain, "totpd_password_t", "unix_stream_socket", "connectto")
    may(f"{domain}_reaches_that_socket", domain, "totpd_password_var_run_t", "sock_file", "write")
for domain in "httpd_t user_t staff_t".split():
    may_not(f"{domain}_asks_for_no_password", domain, "totpd_password_t", "unix_stream_socket", "connectto")
    may_not(f"{domain}_reaches_no_such_socket", domain, "totpd_password_var_run_t", "sock_file", "write")
may("totpd_password_t_starts_itself", "totpd_password_t", "totpd_password_exec_t", "file", "execute_no_trans")
may("totpd_password_t_asks_chkpwd", "totpd_password_t", "chkpwd_t", "process", "transition")
may_not("totpd_password_t_reads_no_shadow", "totpd_password_t", "shadow_t", "file", "read open")

sys.exit(failed)
