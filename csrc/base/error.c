#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct mw_error *error, int status, const char *format, ...) {
  if (!error) return status;
  struct mw_error text; /* the arguments may be of `error` */
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text.text, sizeof text.text, format, arguments);
  va_end(arguments);
  *error = text;
  return status;
}
