/* A reference for what the module itself denies, as the daemon's are: audit.NewReference. */
#ifndef TOTPD_REFERENCE_H
#define TOTPD_REFERENCE_H

enum { REFERENCE_SIZE = 9 }; /* 7F3K-Q2ND */

/* make_reference fills in a random one. It is no secret: it only has to be another one each time. */
void make_reference(char reference[REFERENCE_SIZE + 1]);

#endif
