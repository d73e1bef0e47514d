/* Which calls of the module are one login: wire.LoginID. */
#ifndef TOTPD_ID_H
#define TOTPD_ID_H

#include <security/pam_modules.h>

enum { ID_SIZE = 2 * 16 }; /* wire.IDSize */

/* take_id fills in the id that a failed call has left on the handle, in this process; else a new one, or ""
 * where no random bytes are to be had. */
void take_id(pam_handle_t *pamh, char id[ID_SIZE + 1]);

/* keep_id leaves the id on the handle for the next call, after one that returns rc: until one ends well. */
void keep_id(pam_handle_t *pamh, const char id[ID_SIZE + 1], int rc);

#endif
