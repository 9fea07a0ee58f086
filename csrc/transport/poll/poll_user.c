#include "transport/poll/poll_user.h"

#include "app/command.h"
#include "http/exchange.h"
#include "http/request.h"
#include "session/session.h"

void poll_user_wait(struct poll *poll) {
  const struct clock *clock = &exchange_http(poll->exchange)->loop->clock;
  if (poll->expires_ms > 0 && poll->expires_ms < clock->wall_ms + poll->query.wait_ms)
    poll->due_ms = clock->now_ms + (poll->expires_ms > clock->wall_ms ? poll->expires_ms - clock->wall_ms : 0);
  if (!poll->user || session_take_name(&poll->exchange->subscriber) < 0) return;
  poll->user->address = session_address(&poll->exchange->subscriber);
  atomic_store(&poll->user->gone, false);
  registry_add_raw(&exchange_app(poll->exchange)->registry, poll->user);
}

void poll_user_on_mail(struct exchange *exchange, struct mail *mail) {
  const struct poll *poll = exchange_request(exchange)->of_role;
  const struct command *command = container_of(mail, struct command, mail);
  if (!poll->user || command->client != poll->user) return;
  const char *reason = command->reason[0] ? command->reason : "closed by the app";
  exchange_refuse(exchange, 403, "forbidden", reason, bytes_of(NULL, 0));
}

void poll_user_deinit(struct poll *poll) {
  if (poll->user) registry_remove(&exchange_app(poll->exchange)->registry, poll->user);
  mw_client_unref(poll->user);
}
