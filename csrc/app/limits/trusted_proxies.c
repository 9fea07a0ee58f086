/* Trusted proxies: whose headers state the client's address (moonwire.h, mw_config_trust). */

#include "app/config.h"
#include "base/error.h"
#include "base/memory.h"

int mw_config_trust(struct mw_config *config, const char *proxy, struct mw_error *error) {
  struct ip_network network;
  if (strcmp(proxy, "unix") == 0) {
    config->trusts_unix = true;
    return 0;
  }
  const char *fault = ip_network_read(bytes_string(proxy), &network);
  if (fault) return error_set(error, MW_EINVAL, "trusted_proxies: \"%.60s\": %s; or \"unix\"", proxy, fault);
  struct ip_network *trusted = memory_realloc(config->trusted, (config->trusted_count + 1) * sizeof *trusted);
  if (!trusted) return error_set(error, MW_ENOMEM, "trusted_proxies: out of memory");
  config->trusted = trusted;
  trusted[config->trusted_count++] = network;
  return 0;
}

bool config_trusts(const struct mw_config *config, struct bytes remote) {
  struct ip_address address;
  if (bytes_equal(remote, BYTES("unix"))) return config->trusts_unix;
  if (!ip_read(remote, &address)) return false;
  for (size_t i = 0; i < config->trusted_count; i++) {
    if (ip_network_has(&config->trusted[i], &address)) return true;
  }
  return false;
}

enum forwarded_headers config_forwarded_headers(const struct mw_config *config) {
  static const enum forwarded_headers headers[] = {[MW_PROXY_HEADERS_ANY] = FORWARDED_ANY,
                                                   [MW_PROXY_HEADERS_X_FORWARDED] = FORWARDED_X,
                                                   [MW_PROXY_HEADERS_FORWARDED] = FORWARDED_RFC};
  return headers[config->options.proxy_headers];
}
