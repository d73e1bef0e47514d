/* The dialogue up to its first question. */
#ifndef TOTPD_OPENING_H
#define TOTPD_OPENING_H

#include "module.h"

/* opening_step goes on with the dialogue as far as it can without waiting, and sets want: from the connection and
 * the Open to a verdict, or to the first question, which is left in frame with asked set. It never lets anybody
 * in: where nothing was asked there is nothing to accept. */
void opening_step(struct dialogue *d);

#endif
