/* The app of the target `server`. It accepts, refuses, fails, or answers later, and records its
 * requests. */
#ifndef MOONWIRE_FUZZ_SERVER_APP_H
#define MOONWIRE_FUZZ_SERVER_APP_H

#include "test/support/agreement.h"

enum { APP_KEPT_MAX = 128 };

enum app_answer { APP_ACCEPT, APP_REFUSE, APP_FAIL, APP_MALFORMED, APP_ANSWERS };

struct test_app {
  struct agreement agreement;
  struct mw_request *kept[APP_KEPT_MAX]; /* to be answered later */
  size_t kept_count;
  unsigned keep;         /* bits 1 << enum mw_request_type */
  enum app_answer now;   /* the answer to requests that are not kept */
  enum app_answer later; /* the answer to kept requests that are cancelled */
};

/* For mw_config_options; the context is a struct test_app. */
void app_on_request(void *context, struct mw_request *request);
void app_on_cancel(void *context, struct mw_request *request);
/* Answers one of the kept requests. */
void app_answer_kept(struct test_app *app, size_t which, enum app_answer answer);

#endif
