#include "script/question.h"

void question_ask(struct script *script, struct mw_request *request, enum mw_request_type type) {
  const struct mw_config_options *options = &script->app->config->options;
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
  const struct mw_config_options *options = &request->script->app->config->options;
  if (options->on_cancel) options->on_cancel(options->context, request);
}

void question_answered(struct mw_request *request) {
  struct script *script = request->script;
  list_remove(&request->link);
  request->waiting = false;
  request->on_answer(request);
  /* Stopping may have waited for just this answer, which may come outside any turn. */
  if (script && app_stopping(script->app)) loop_wake(script->loop);
}
