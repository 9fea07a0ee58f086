#include "script/question.h"

#include "app/socket.h"
#include "script/open_channel.h"

/* The configuration with whose handlers a request begins, and ends. */
static const struct mw_config_options *options_of(const struct mw_request *request) {
  if (request->open_channel) return &request->open_channel->config->options;
  if (request->job) return &request->job->config->options;
  const struct membership *membership = request->leaving->memberships;
  return membership ? &membership->config->options : &request->leaving->socket->config->options;
}

void question_ask(struct script *script, struct mw_request *request, enum mw_request_type type) {
  const struct mw_config_options *options = options_of(request);
  request->type = type;
  request->script = script;
  request->asked_ms = script->loop->clock.now_ms;
  request->waiting = true;
  request->cancelled = false;
  request->context = NULL;
  list_append(&script->asked, &request->link);
  if (options->on_request) {
    options->on_request(options->context, request);
  } else {
    mw_request_fail(request);
  }
}

void question_cancel(struct mw_request *request) {
  if (!request->waiting || request->cancelled) return;
  request->cancelled = true;
  const struct mw_config_options *options = options_of(request);
  if (options->on_cancel) options->on_cancel(options->context, request);
}

void question_answered(struct mw_request *request) {
  struct script *script = request->script;
  list_remove(&request->link);
  request->waiting = false;
  request->on_answer(request);
  /* Stopping may have waited for just this answer, which may come outside of any turn. */
  if (script && app_stopping(script->app)) loop_wake(script->loop);
}
