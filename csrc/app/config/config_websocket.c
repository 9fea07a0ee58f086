/* The definition of raw WebSocket endpoints. */

#include "app/config.h"
#include "app/limits/limits.h"
#include "auth/origin.h"
#include "base/error.h"
#include "base/memory.h"
#include "codec/http/http_head.h"

static void free_strings(char **strings, size_t count) {
  for (size_t i = 0; i < count; i++) memory_free(strings[i]);
  memory_free(strings);
}

void config_websocket_free(struct websocket *websocket) {
  if (!websocket) return;
  free_strings(websocket->protocols, websocket->protocol_count);
  free_strings(websocket->origins, websocket->origin_count);
  memory_free(websocket);
}

static const char *protocol_fault(struct bytes protocol) {
  return http_token_valid(protocol) ? NULL : "a subprotocol must be a token: letters, digits, and !#$%&'*+-.^_`|~";
}

static bool has(char *const *strings, size_t count, const char *string) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(strings[i], string) == 0) return true;
  }
  return false;
}

/* Copies strings that `find_fault` accepts. Strings that were copied before a failure stay in *out
 * and *out_count. */
static int copy_strings(const char *const *strings, size_t count, const char *(*find_fault)(struct bytes string), char ***out,
                        size_t *out_count, struct mw_error *error) {
  if (count == 0) return 0;
  *out = memory_calloc(count, sizeof **out);
  if (!*out) return error_set(error, MW_ENOMEM, "%.120s: out of memory", strings[0]);
  for (size_t i = 0; i < count; i++) {
    const char *fault = find_fault(bytes_string(strings[i]));
    if (!fault && has(*out, *out_count, strings[i])) fault = "listed twice";
    if (fault) return error_set(error, MW_EINVAL, "%.120s: %.120s", strings[i], fault);
    (*out)[i] = memory_copy(strings[i], strlen(strings[i]));
    if (!(*out)[i]) return error_set(error, MW_ENOMEM, "%.120s: out of memory", strings[i]);
    ++*out_count;
  }
  return 0;
}

void mw_websocket_options_init(struct mw_websocket_options *options) { *options = (struct mw_websocket_options){0}; }

int mw_config_websocket(struct mw_config *config, const char *pattern, const struct mw_websocket_options *options,
                        struct mw_error *error) {
  const struct mw_limits *limits = &config->options.limits;
  const char *fault = limits_rate_fault(options->rate);
  if (fault) return error_set(error, MW_EINVAL, "%.120s: %.120s", pattern, fault);
  struct websocket *websocket = memory_calloc(1, sizeof *websocket);
  if (!websocket) return error_set(error, MW_ENOMEM, "%.120s: out of memory", pattern);
  websocket->limits.message = options->message_size > 0 ? options->message_size : limits->ws_message_size;
  websocket->limits.frame = options->frame_size > 0 ? options->frame_size : websocket->limits.message;
  websocket->outbox = options->outbox > 0 ? options->outbox : limits->outbox;
  websocket->ping_ms = options->ping_ms > 0 ? options->ping_ms : limits->ping_ms;
  websocket->pong_ms = options->pong_ms > 0 ? options->pong_ms : limits->pong_ms;
  websocket->deflate = options->deflate;
  websocket->has_rate = options->rate.per_second > 0 || options->has_no_rate;
  if (websocket->has_rate && !options->has_no_rate) websocket->rate = limits_rate(options->rate);
  int status = copy_strings(options->protocols, options->protocol_count, protocol_fault, &websocket->protocols,
                            &websocket->protocol_count, error);
  if (status == 0) {
    status =
        copy_strings(options->origins, options->origin_count, origin_fault, &websocket->origins, &websocket->origin_count, error);
  }
  if (status < 0) {
    config_websocket_free(websocket);
    return status;
  }
  return config_add_route(config, ROUTE_WEBSOCKET, BYTES("GET"), pattern, websocket, error);
}

enum origin_match config_websocket_check_origin(const struct websocket *websocket, const struct mw_config *config,
                                                struct bytes origin) {
  if (websocket->origin_count == 0) return config_check_origin(config, origin);
  enum origin_match best = ORIGIN_REFUSED;
  for (size_t i = 0; i < websocket->origin_count; i++) {
    struct bytes entry = bytes_string(websocket->origins[i]);
    if (!origin_matches(entry, origin)) continue;
    if (!bytes_equal(entry, BYTES("*"))) return ORIGIN_LISTED;
    best = ORIGIN_ANY;
  }
  return best;
}
