#include "base/status.h"

#include <string.h>

/* Status codes of libuv that are not a negative errno. base does not include uv.h. */
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
    case MW_EINVAL: return "invalid argument";
    case MW_ENOTFOUND: return "not found";
    case MW_EUNAVAILABLE: return "temporarily unavailable; retry";
    case MW_ETOOLARGE: return "too large: over a limit in bytes";
    case MW_ECLOSED: return "closed";
    case MW_EOVERLAP: return "two patterns can match the same name";
    case MW_ELIMIT: return "too many: over a limit in number";
    case MW_EFORGED: return "not made with this key for this purpose, or altered";
    case MW_EEXPIRED: return "expired";
    case MW_ETIMEDOUT: return "timed out";
    case UV_END_OF_FILE: return "end of file";
    default: break;
  }
  if (status <= UV_LOOKUP_FIRST && status >= UV_LOOKUP_LAST) return "address lookup failed";
  if (status < 0 && status > -ERRNO_MAX) return strerror(-status);
  return "unknown status";
}

const char *mw_version(void) { return MW_VERSION; }
