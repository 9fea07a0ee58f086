/* The address of a Redis:
 *
 *   redis://[[username]:password@]host[:port][/db]
 *   rediss://...                     the same, encrypted with TLS
 *   unix:/path[?db=number]
 *
 * Usernames and passwords are percent-decoded. An IPv6 address is in brackets. */
#ifndef MOONWIRE_CODEC_REDIS_URL_H
#define MOONWIRE_CODEC_REDIS_URL_H

#include "base/bytes.h"

VISIBILITY_PUSH

enum { REDIS_PORT = 6379, REDIS_SENTINEL_PORT = 26379, REDIS_HOST_MAX = 253, REDIS_SECRET_MAX = 512, REDIS_DB_MAX = 65535 };
enum { REDIS_SENTINELS_MAX = 16 };

struct redis_url {
  bool is_tls;
  char host[REDIS_HOST_MAX + 1];       /* or the path of a unix socket */
  uint16_t port;                       /* 0: a unix socket */
  char username[REDIS_SECRET_MAX + 1]; /* empty: the default user */
  char password[REDIS_SECRET_MAX + 1]; /* empty: no login */
  unsigned db;
};

/* Returns NULL, or what is wrong with the address, without a secret in it. */
const char *redis_url_read(struct redis_url *url, struct bytes text);
/* Reads host[:port], with the given port if there is none. Returns NULL, or what is wrong. */
const char *redis_url_read_host(struct redis_url *url, struct bytes text, uint16_t default_port);

/* Reads the address of a sentinel: [[username]:password@]host[:port]. Returns NULL, or what is wrong,
 * without a secret in it. */
const char *redis_url_read_sentinel(struct redis_url *url, struct bytes text);

VISIBILITY_POP

#endif
