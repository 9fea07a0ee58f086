/* Error texts for callers. */
#ifndef MOONWIRE_BASE_ERROR_H
#define MOONWIRE_BASE_ERROR_H

#include "base/status.h"

/* Writes the text to `error`, truncated if it is too long. Writes nothing if `error` is NULL. The arguments
 * may be in `error` itself. Returns `status`. */
int error_set(struct mw_error *error, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
