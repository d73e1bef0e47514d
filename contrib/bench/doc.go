// Command bench measures logins with totpd beside google-authenticator-libpam and pam_oath, in one run,
// and beside fdatasync on the same file system. It prints a table for people, writes it to
// build/bench.txt, and prints one line "ratio NAME VALUE" for each figure that totpd promises. With
// -check, a figure that misses its limit ends it with status 1.
//
// 'make bench' builds what it needs and runs it: build/totpd, build/pam_totpd.so, a C compiler with
// libpam's headers, and the peers' packages as packaging/world/debs.sh unpacks them. It takes root, for
// mount and network namespaces of its own; nothing of the machine changes.
//
// # How it measures
//
// The program host (host/host.c) runs PAM transactions through the system's libpam; one and the same
// for all modules. It takes the services in turn, in an order shuffled anew for each round, so that a
// busy moment of the machine falls on all of them alike. Figures are medians; the table also has the
// 10th and 90th percentile. Rounds for warming up come first.
//
// Every login that counts was accepted, and made durable by the module or the daemon. A code works
// once in all three, and three codes are good at a time (one step of skew for totpd, WINDOW_SIZE 3 for
// google-authenticator, window=1 for pam_oath). So the logins go round users: each login is another
// user's, and when a user's turn comes again, it is with the next code, on an account that has used
// codes. The smallest number of users is therefore that of the users who log in (256), not 1, for all
// three modules: growth_1_to_1m_users compares a store of 256 users with one of a million, and
// pam_oath's file has 256 lines in the table's first part. Only these 256 are in /etc/passwd, since
// the search of NSS isn't what is measured; in a large store they lie evenly among the others.
//
// All modules have what a real host gives them: a /dev/log that somebody reads, with the queue that
// systemd sets up (512), a PAM service "other", and in the measurements of one process all modules,
// also pam_deny of "other", loaded before. -log=none leaves /dev/log away, as in a container without a
// syslog daemon: then google-authenticator writes its lines to /dev/console, which on a serial line
// takes about 1 ms each.
//
// -only measures some parts, -quick tries all of them with small counts, as the test does.
//
// State lies below build/, on whatever file system that is; the table says which.
//
// What each figure is:
//
//   - login_same_process_vs_ga: pam_start to pam_end with one accepted login.
//   - login_new_process_vs_ga: the same in a forked child that has no module loaded, until it is reaped.
//   - login_100k_users_vs_oath: in one process, 100,000 users in totpd's store and in pam_oath's file.
//   - growth_1_to_1m_users: in one process, two daemons, one with a million users.
//   - durable_vs_fdatasync: from connect to verdict on the daemon's login socket, without libpam and
//     module, beside one fdatasync after a block of 4 kB was overwritten.
//   - concurrent_64_vs_ga: accepted logins a second of 64 processes, each with the module loaded and
//     users of its own, until the first of them runs out of codes; rounds of both modules alternate,
//     each from fresh state.
//   - unasked_vs_permit: a forked child does one login of a user without a second factor, and exits. totpd's
//     line is followed by one of pam_permit, which stands alone in the other service.
//   - dormant_vs_permit: a forked child does pam_start, pam_setcred, pam_end and exits.
package main
