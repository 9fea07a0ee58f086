#include "base/status.h"

#include <string.h>

/* Codes of libuv that are not a negative errno, which base knows by number only. */
enum {
  UV_END_OF_FILE = -4095,
  UV_LOOKUP_FIRST = -3000,
  UV_LOOKUP_LAST = -3014,
  ERRNO_MAX = 1000,
};

const char *mw_status_text(int status) {
  switch (status) {
    case MW_OK: return "ok";
    case MW_ENOMEM: return "out of memory";
    case MW_EINVAL: return "an argument is malformed";
    case MW_ENOTFOUND: return "there is no such thing";
    case MW_EUNAVAILABLE: return "unavailable at the moment, try again later";
    case MW_ETOOLARGE: return "over a limit in bytes";
    case MW_ECLOSED: return "closed";
    case MW_EOVERLAP: return "two patterns can match the same name";
    case MW_ELIMIT: return "over a limit in number";
    case UV_END_OF_FILE: return "end of file";
    default: break;
  }
  if (status <= UV_LOOKUP_FIRST && status >= UV_LOOKUP_LAST) return "the address could not be looked up";
  if (status < 0 && status > -ERRNO_MAX) return strerror(-status);
  return "unknown status";
}

const char *mw_version(void) { return MW_VERSION; }
