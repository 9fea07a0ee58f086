/* The options of an app's broker, checked and parsed. */
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
  uint32_t expiry_ms;
  uint32_t wait_replicas;
};

/* Sets *broker to the checked options, which the caller owns, or to NULL if there is no URL. Returns 0,
 * MW_EINVAL, or MW_ENOMEM. Error texts contain no secrets. */
int broker_config_new(struct broker_config **broker, const struct mw_broker_options *options, struct mw_error *error);
void broker_config_free(struct broker_config *broker); /* NULL is allowed */
/* Both may be NULL. */
bool broker_config_equal(const struct broker_config *a, const struct broker_config *b);

VISIBILITY_POP

#endif
