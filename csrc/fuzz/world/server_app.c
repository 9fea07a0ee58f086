#include "fuzz/world/server_app.h"

#include "fuzz/fuzz.h"

/* The end of something is always accepted: it is not a question. */
static bool is_end(enum mw_request_type type) {
  return type == MW_REQUEST_LEAVE || type == MW_REQUEST_CLOSE || type == MW_REQUEST_DISCONNECT || type == MW_REQUEST_SLOW;
}

static void answer(struct test_app *app, struct mw_request *request, enum app_answer how) {
  enum mw_request_type type = mw_request_type(request);
  struct agreement_entry noted;
  if (how == APP_REFUSE && !is_end(type)) {
    mw_request_refuse(request, 403, "forbidden", "no");
  } else if (how == APP_FAIL && !is_end(type)) {
    mw_request_refuse(request, 500, "internal", "a handler failed");
  } else {
    bool is_malformed = how == APP_MALFORMED && !is_end(type);
    must(agreement_accept(&app->agreement, request, &noted));
    if (is_malformed) agreement_take_back(&app->agreement, &noted);
    const char *data = is_malformed ? "{" : type == MW_REQUEST_JOIN ? "{\"n\":1}" : "";
    if (type == MW_REQUEST_AUTHENTICATE && !is_malformed) data = "{\"id\":\"ann\"}";
    int status = mw_request_accept(request, data, strlen(data));
    if (status < 0 && !is_malformed) agreement_take_back(&app->agreement, &noted);
  }
}

void app_on_request(void *context, struct mw_request *request) {
  struct test_app *app = context;
  if (app->keep & 1u << mw_request_type(request) && app->kept_count < APP_KEPT_MAX) {
    app->kept[app->kept_count++] = request;
  } else {
    answer(app, request, app->now);
  }
}

static struct mw_request *take(struct test_app *app, size_t at) {
  struct mw_request *request = app->kept[at];
  app->kept_count--;
  for (; at < app->kept_count; at++) app->kept[at] = app->kept[at + 1];
  return request;
}

void app_on_cancel(void *context, struct mw_request *request) {
  struct test_app *app = context;
  for (size_t i = 0; i < app->kept_count; i++) {
    if (app->kept[i] != request || app->later == APP_MALFORMED) continue; /* it is answered later */
    answer(app, take(app, i), app->later);
    return;
  }
}

void app_answer_kept(struct test_app *app, size_t which, enum app_answer how) {
  if (app->kept_count > 0) answer(app, take(app, which % app->kept_count), how);
}
