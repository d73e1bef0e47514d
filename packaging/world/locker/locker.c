/* locker - the smallest PAM program with a person before it, as a screen locker is one: it asks in its
 * terminal what the PAM stack asks, and says how it ended. It runs as whoever starts it.
 *
 *	locker SERVICE USER [DIRECTORY]
 *
 * DIRECTORY holds the PAM services, instead of /etc/pam.d. */
#include <security/pam_appl.h>
#include <security/pam_misc.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct pam_conv conv = { misc_conv, NULL };
	pam_handle_t *pamh;
	int rc;

	if (argc < 3 || argc > 4) {
		fputs("usage: locker SERVICE USER [DIRECTORY]\n", stderr);
		return 2;
	}
	rc = pam_start_confdir(argv[1], argv[2], &conv, argc > 3 ? argv[3] : NULL, &pamh);
	if (rc != PAM_SUCCESS) {
		fprintf(stderr, "locker: pam_start: %d\n", rc);
		return 2;
	}
	rc = pam_authenticate(pamh, 0);
	if (rc == PAM_SUCCESS)
		rc = pam_acct_mgmt(pamh, 0);
	if (rc == PAM_SUCCESS)
		printf("welcome, %s\n", argv[2]);
	else
		printf("refused: %s\n", pam_strerror(pamh, rc));
	pam_end(pamh, rc);
	return rc == PAM_SUCCESS ? 0 : 1;
}
