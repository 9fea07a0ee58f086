/* The broker of an app, as its configuration has read it. */
#ifndef MOONWIRE_APP_CONFIG_BROKER_CONFIG_H
#define MOONWIRE_APP_CONFIG_BROKER_CONFIG_H

#include "codec/redis_url.h"
#include "moonwire.h"

VISIBILITY_PUSH

enum { BROKER_PREFIX_MAX = 64 };

struct broker_config {
  struct redis_url url; /* with sentinels, the host is the name of the master */
  struct redis_url sentinels[REDIS_SENTINELS_MAX];
  size_t sentinel_count;
  char prefix[BROKER_PREFIX_MAX + 1];
  char *ca_file; /* NULL: the authorities of the system */
  bool is_unverified;
  uint32_t publish_ms;
  uint32_t wait_replicas;
};

/* Reads the options into *broker, which the caller owns; NULL without a URL. MW_EINVAL, MW_ENOMEM: no
 * error text has a secret in it. */
int broker_config_new(struct broker_config **broker, const struct mw_broker_options *options, struct mw_error *error);
void broker_config_free(struct broker_config *broker); /* NULL is allowed */
/* Both may be NULL. */
bool broker_config_equal(const struct broker_config *a, const struct broker_config *b);

VISIBILITY_POP

#endif
