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
    case MW_EWAITING: return "too many requests wait: limits.waiting";
    case MW_EBROKER_LOST: return "not connected to redis";
    case MW_EBROKER_LATE: return "redis did not answer in time";
    case MW_EBROKER_FULL: return "redis is full: raise its maxmemory, or keep fewer messages";
    case MW_EBROKER_REPLICAS: return "redis has too few replicas: min-replicas-to-write";
    case MW_EBROKER_READONLY: return "redis is a replica, which cannot publish: connect to the primary";
    case MW_EBROKER_BUSY: return "redis is busy: it loads its data, or runs a script";
    case MW_EBROKER_DENIED: return "redis denies access: check the user, the password, and the ACL";
    case MW_EBROKER_DISK: return "redis cannot save to its disk: see the log of redis (MISCONF)";
    case MW_EBROKER_FAILED: return "redis refused the message: the log has its error";
    case MW_EBROKER_UNSURE: return "redis has not confirmed the message in time, and may have published it";
    case MW_EBROKER_UNREPLICATED: return "published, but it may be lost: fewer replicas than wait_replicas have confirmed it";
    case UV_END_OF_FILE: return "end of file";
    default: break;
  }
  if (status <= UV_LOOKUP_FIRST && status >= UV_LOOKUP_LAST) return "address lookup failed";
  if (status < 0 && status > -ERRNO_MAX) return strerror(-status);
  return "unknown status";
}

const char *mw_version(void) { return MW_VERSION; }
