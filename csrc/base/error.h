/* What went wrong, in words for whoever gave the input. */
#ifndef MOONWIRE_BASE_ERROR_H
#define MOONWIRE_BASE_ERROR_H

#include "base/status.h"

/* Writes the text, which is truncated where it is longer than a struct mw_error, unless `error` is NULL. Its arguments may be
 * in the error itself. Returns `status`. */
int error_set(struct mw_error *error, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
