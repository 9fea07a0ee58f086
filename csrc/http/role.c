#include "http/role.h"

#include "http/exchange.h"

void role_nothing(struct exchange *exchange) { (void)exchange; }

void role_nothing_on_answer(struct exchange *exchange, struct script_job *job) {
  (void)exchange;
  (void)job;
}

size_t role_nothing_on_read(struct exchange *exchange, struct bytes bytes) {
  (void)exchange;
  return bytes.len;
}

void role_nothing_on_mail(struct exchange *exchange, struct mail *mail) {
  (void)exchange;
  (void)mail;
}

void role_nothing_give_up(struct exchange *exchange, const struct closing *closing) {
  (void)exchange;
  (void)closing;
}

uint64_t role_nothing_left_ms(struct exchange *exchange) {
  (void)exchange;
  return 0;
}

bool role_always_finishes(struct exchange *exchange) {
  (void)exchange;
  return true;
}

bool role_never_finishes(struct exchange *exchange) {
  (void)exchange;
  return false;
}

uint64_t role_heartbeat_ms(struct exchange *exchange) { return exchange_config(exchange)->options.limits.heartbeat_ms; }

size_t role_outbox_limit(struct exchange *exchange) { return exchange_config(exchange)->options.limits.outbox; }

bool role_is_complete(const struct role *role) {
  bool takes =
      role->start && role->on_answer && role->on_late && role->finishes && role->on_written && role->on_read && role->on_silent;
  bool is_notified = role->on_mail && role->on_flushed && role->on_finish && role->close && role->give_up && role->on_end;
  return takes && is_notified && role->silence_ms && role->left_ms && role->outbox_limit;
}
