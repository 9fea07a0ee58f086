/* Why Redis refuses messages. */
#include "base/log_limit.h"
#include "broker/node/node.h"

static const struct reason {
  const char *code; /* with which the error begins */
  int status;
  bool is_lost; /* the connection is of no use: the process does not serve, or not this node */
} reasons[] = {
    {"OOM", MW_EBROKER_FULL, false},         {"NOREPLICAS", MW_EBROKER_REPLICAS, false}, {"MISCONF", MW_EBROKER_DISK, false},
    {"NOPERM", MW_EBROKER_DENIED, false},    {"NOAUTH", MW_EBROKER_DENIED, true},        {"WRONGPASS", MW_EBROKER_DENIED, true},
    {"READONLY", MW_EBROKER_READONLY, true}, {"LOADING", MW_EBROKER_BUSY, true},         {"BUSY", MW_EBROKER_BUSY, true},
    {"UNKILLABLE", MW_EBROKER_BUSY, true},   {"MASTERDOWN", MW_EBROKER_READONLY, true},  {"NOSCRIPT", MW_EBROKER_FAILED, true},
};

int refusal_read(struct bytes error, bool *is_lost) {
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if (!bytes_starts_with(error, bytes_string(reasons[i].code))) continue;
    *is_lost = reasons[i].is_lost;
    return reasons[i].status;
  }
  *is_lost = false;
  return MW_EBROKER_FAILED;
}

/* True if every publish is refused for that reason, and not only one. */
static bool is_for_all(int status, bool is_lost) {
  return status != MW_EBROKER_FAILED && (status != MW_EBROKER_DENIED || is_lost);
}

static void log_refusal(const char *what, struct bytes error) {
  log_limited(MW_LOG_WARNING, "%s: %.*s", what, (int)(error.len < 200 ? error.len : 200), error.ptr);
}

int refusal_note(struct broker *broker, struct bytes error, bool *is_lost) {
  int status = refusal_read(error, is_lost);
  if (!is_for_all(status, *is_lost)) {
    log_refusal("redis refused a script", error);
  } else if (broker->refusal != status) {
    broker->refusal = status;
    log_refusal("redis refuses to publish", error);
  }
  return status;
}

void refusal_end(struct broker *broker) {
  if (broker->refusal == 0) return;
  broker->refusal = 0;
  log_limited(MW_LOG_INFO, "redis accepts messages again");
}

void refusal_note_attempt(struct broker *broker, struct bytes error) {
  bool is_lost;
  int status = error.len > 0 ? refusal_read(error, &is_lost) : 0;
  broker->refusal = status == MW_EBROKER_FAILED ? 0 : status;
}

int node_outage(const struct broker *broker) {
  if (broker->refusal < 0) return broker->refusal;
  return node_is_up(broker) ? MW_EBROKER_LATE : MW_EBROKER_LOST;
}

int broker_refusal(const struct broker *broker) { return broker->refusal; }
