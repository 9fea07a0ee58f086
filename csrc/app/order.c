#include "app/order.h"

#include "app/app.h"
#include "base/error.h"
#include "base/status.h"
#include "codec/envelope.h"
#include "codec/json_scan.h"

enum { KEY_MAX = 255 };

int order_read_parts(struct app *app, const struct mw_config *config, const struct mw_publish *publish,
                     struct message_parts *parts, struct mw_error *error) {
  struct json_value value;
  struct json_fault fault;
  *parts = (struct message_parts){.channel = bytes_of(publish->channel.ptr, publish->channel.len),
                                  .event = bytes_of(publish->event.ptr, publish->event.len),
                                  .data = bytes_of(publish->data.ptr, publish->data.len),
                                  .is_binary = publish->is_binary};
  if (parts->event.len == 0) parts->event = BYTES("message");
  if (parts->data.len == 0 && !parts->is_binary) parts->data = BYTES("null");
  if (publish->except) parts->except = bytes_of(publish->except->id, CLIENT_ID_LEN);
  parts->key = bytes_of(publish->key.ptr, publish->key.len);
  parts->is_final = publish->is_final;
  if (app->state >= APP_STOPPED) return error_set(error, MW_EUNAVAILABLE, "the server has stopped");
  if (parts->key.len > KEY_MAX) return error_set(error, MW_EINVAL, "the key is longer than 255 bytes");
  if (parts->is_final && publish->is_volatile) return error_set(error, MW_EINVAL, "a final message cannot be volatile");
  if (event_name_fault(parts->event)) return error_set(error, MW_EINVAL, "%s", event_name_fault(parts->event));
  if (parts->data.len > config->options.limits.message_size) {
    limit_count(&app->limits, MW_LIMIT_MESSAGE_SIZE);
    return error_set(error, MW_ETOOLARGE, "the data is larger than limits.message_size");
  }
  if (!parts->is_binary && !json_scan(parts->data, &value, &fault)) {
    return error_set(error, MW_EINVAL, "invalid JSON in data at byte %zu: %s", fault.offset, fault.reason);
  }
  return 0;
}

static const char *refusal_reason(int status) {
  switch (status) {
    case MW_ELIMIT:
      return "cannot keep the history of another channel: limits.channels of the app, or of the pattern, is reached";
    case MW_ECLOSED: return "the server is stopping";
    case MW_EUNAVAILABLE: return "the queue is full: limits.queue";
    case MW_ETOOLARGE: return "the message is larger than the broker accepts";
    default: return mw_status_text(status);
  }
}

struct order_refusal order_refusal(int status) {
  struct order_refusal refusal = {.status = 503, .code = "unavailable", .reason = refusal_reason(status)};
  if (status == MW_ETOOLARGE) {
    refusal.status = 413;
    refusal.code = "too_large";
  } else if (status == MW_EBROKER_UNREPLICATED) {
    refusal.status = 504;
    refusal.code = "unreplicated";
  }
  return refusal;
}

bool order_begin_waiting(struct app *app) {
  struct mw_config *config = app_hold_config(app);
  bool fits = atomic_fetch_add(&app->job_count, 1) < config->options.limits.waiting;
  mw_config_unref(config);
  if (!fits) limit_count(&app->limits, MW_LIMIT_WAITING);
  if (!fits) order_end_waiting(app);
  return fits;
}

void order_end_waiting(struct app *app) { atomic_fetch_sub(&app->job_count, 1); }

static int publish_by(struct app *app, struct mw_config *config, const struct mw_publish *publish, struct completion *completion,
                      struct mw_error *error) {
  struct message_parts parts;
  int status = order_read_parts(app, config, publish, &parts, error);
  if (status < 0) return status;
  if (channel_name_fault(parts.channel)) return error_set(error, MW_EINVAL, "%s", channel_name_fault(parts.channel));
  const struct kind *kind = config_kind(config, parts.channel);
  if (!kind) {
    return error_set(error, MW_ENOTFOUND, "no pattern matches the channel \"%.*s\"", (int)parts.channel.len, parts.channel.ptr);
  }
  status = app->orderer->publish(app->orderer, kind, &parts, publish->is_volatile, completion);
  bool is_coarse = status == MW_ELIMIT || status == MW_ECLOSED;
  if (status < 0) return error_set(error, is_coarse ? MW_EUNAVAILABLE : status, "%s", refusal_reason(status));
  return status;
}

int order_publish(struct app *app, const struct mw_publish *publish, struct completion *completion, struct mw_error *error) {
  struct mw_config *config = app_hold_config(app);
  int status = publish_by(app, config, publish, completion, error);
  mw_config_unref(config);
  return status;
}
