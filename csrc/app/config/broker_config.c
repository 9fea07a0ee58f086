#include "app/config/broker_config.h"

#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

enum { PUBLISH_MS = 5000, PUBLISH_MS_MAX = 600000, REPLICAS_MAX = 16 };
enum { EXPIRY_MS = 10000, EXPIRY_MS_MIN = 2000, EXPIRY_MS_MAX = 600000 };

/* Copies a secret, if there is one. */
static bool copy_secret(char to[REDIS_SECRET_MAX + 1], const char *from) {
  size_t len = from ? strlen(from) : 0;
  if (!from) return true;
  if (len > REDIS_SECRET_MAX) return false;
  memcpy(to, from, len + 1);
  return true;
}

/* What is wrong with the login, which is in the URL or in the options. */
static const char *login_fault(struct redis_url *url, const struct mw_broker_options *options) {
  bool has_own = options->username || options->password;
  if (has_own && url->password[0]) return "the URL has a password, and username or password is set, too";
  if (options->username && !options->password) return "username needs a password";
  if (options->password && options->password[0] == '\0') return "the password is empty";
  bool fits = copy_secret(url->username, options->username) && copy_secret(url->password, options->password);
  return fits ? NULL : "the username or the password has more than 512 bytes";
}

static bool is_prefix(const char *prefix) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-";
  size_t len = strlen(prefix);
  return len > 0 && len <= BROKER_PREFIX_MAX && strspn(prefix, allowed) == len;
}

static const char *broker_fault(const struct redis_url *url, const struct mw_broker_options *options) {
  bool has_certificates = options->ca_file || options->is_unverified;
  if (options->sentinel_count > REDIS_SENTINELS_MAX) return "there are more than 16 sentinels";
  if (options->sentinel_count > 0 && url->port == 0)
    return "with sentinels, the URL must be redis:// or rediss://, with the master name as its host";
  if (options->prefix && !is_prefix(options->prefix)) return "the prefix must be 1 to 64 of A-Z, a-z, 0-9, _, ., :, and -";
  if (has_certificates && !url->is_tls) return "ca_file and verify = false need a URL with rediss://";
  if (options->ca_file && options->is_unverified) return "ca_file has no effect if any certificate is accepted";
  if (options->ca_file && access(options->ca_file, R_OK) < 0) return "ca_file cannot be read";
  if (options->publish_ms > PUBLISH_MS_MAX) return "publish_seconds is more than 600";
  if (options->expiry_ms > 0 && (options->expiry_ms < EXPIRY_MS_MIN || options->expiry_ms > EXPIRY_MS_MAX))
    return "expiry_seconds is not between 2 and 600";
  if (options->wait_replicas > REPLICAS_MAX) return "wait_replicas is more than 16";
  return NULL;
}

static int read_sentinels(struct broker_config *broker, const struct mw_broker_options *options, struct mw_error *error) {
  for (size_t i = 0; i < options->sentinel_count; i++) {
    char what[32];
    const char *fault = redis_url_read_sentinel(&broker->sentinels[i], bytes_string(options->sentinels[i]));
    snprintf(what, sizeof what, "sentinel %zu: ", i + 1);
    if (fault) return error_set(error, MW_EINVAL, "broker: %s%s", what, fault);
  }
  broker->sentinel_count = options->sentinel_count;
  return 0;
}

static int broker_read(struct broker_config *broker, const struct mw_broker_options *options, struct mw_error *error) {
  const char *fault = redis_url_read(&broker->url, bytes_string(options->url));
  if (fault) return error_set(error, MW_EINVAL, "broker: the URL: %s", fault);
  fault = login_fault(&broker->url, options);
  if (!fault) fault = broker_fault(&broker->url, options);
  if (fault) return error_set(error, MW_EINVAL, "broker: %s", fault);
  int status = read_sentinels(broker, options, error);
  if (status < 0) return status;
  snprintf(broker->prefix, sizeof broker->prefix, "%s", options->prefix ? options->prefix : "mw");
  broker->is_unverified = options->is_unverified;
  broker->publish_ms = options->publish_ms > 0 ? (uint32_t)options->publish_ms : PUBLISH_MS;
  broker->expiry_ms = options->expiry_ms > 0 ? (uint32_t)options->expiry_ms : EXPIRY_MS;
  broker->wait_replicas = options->wait_replicas;
  if (!options->ca_file) return 0;
  broker->ca_file = memory_copy(options->ca_file, strlen(options->ca_file));
  return broker->ca_file ? 0 : error_set(error, MW_ENOMEM, "broker: out of memory");
}

int broker_config_new(struct broker_config **broker, const struct mw_broker_options *options, struct mw_error *error) {
  *broker = NULL;
  if (!options->url) return 0;
  struct broker_config *own = memory_calloc(1, sizeof *own);
  if (!own) return error_set(error, MW_ENOMEM, "broker: out of memory");
  int status = broker_read(own, options, error);
  if (status < 0) {
    broker_config_free(own);
    return status;
  }
  *broker = own;
  return 0;
}

int mw_broker_check(const struct mw_broker_options *options, struct mw_error *error) {
  struct broker_config *broker;
  int status = broker_config_new(&broker, options, error);
  if (status == 0) broker_config_free(broker);
  return status;
}

void broker_config_free(struct broker_config *broker) {
  if (!broker) return;
  memory_free(broker->ca_file);
  memory_free(broker);
}

static bool url_equal(const struct redis_url *a, const struct redis_url *b) {
  return a->is_tls == b->is_tls && a->port == b->port && a->db == b->db && strcmp(a->host, b->host) == 0 &&
         strcmp(a->username, b->username) == 0 && strcmp(a->password, b->password) == 0;
}

bool broker_config_equal(const struct broker_config *a, const struct broker_config *b) {
  if (!a || !b) return a == b;
  if (!url_equal(&a->url, &b->url) || a->sentinel_count != b->sentinel_count) return false;
  for (size_t i = 0; i < a->sentinel_count; i++)
    if (!url_equal(&a->sentinels[i], &b->sentinels[i])) return false;
  if (strcmp(a->prefix, b->prefix) != 0 || !bytes_equal(bytes_string(a->ca_file), bytes_string(b->ca_file))) return false;
  if (a->publish_ms != b->publish_ms || a->expiry_ms != b->expiry_ms) return false;
  return a->is_unverified == b->is_unverified && a->wait_replicas == b->wait_replicas;
}
