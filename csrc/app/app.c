#include "app/app.h"

int app_init(struct app *app, struct mw_config *config) {
  *app = (struct app){.config = config_ref(config)};
  int status = lock_init(&app->config_lock);
  if (status < 0) goto fail_lock;
  status = registry_init(&app->registry);
  if (status < 0) goto fail_registry;
  status = parties_init(&app->parties);
  if (status < 0) goto fail_parties;
  status = rates_init(&app->rates);
  if (status < 0) goto fail_rates;
  status = tally_init(&app->tally);
  if (status < 0) goto fail_tally;
  status = idempotency_init(&app->idempotency);
  if (status == 0) return 0;
  tally_deinit(&app->tally);
fail_tally:
  rates_deinit(&app->rates);
fail_rates:
  parties_deinit(&app->parties);
fail_parties:
  registry_deinit(&app->registry);
fail_registry:
  lock_deinit(&app->config_lock);
fail_lock:
  mw_config_unref(config);
  return status;
}

void app_deinit(struct app *app) {
  idempotency_deinit(&app->idempotency);
  tally_deinit(&app->tally);
  rates_deinit(&app->rates);
  parties_deinit(&app->parties);
  registry_deinit(&app->registry);
  lock_deinit(&app->config_lock);
  mw_config_unref(app->config);
}

struct mw_config *app_hold_config(struct app *app) {
  lock_take(&app->config_lock);
  struct mw_config *config = config_ref(app->config);
  lock_release(&app->config_lock);
  return config;
}

struct mw_config *app_set_config(struct app *app, struct mw_config *config) {
  lock_take(&app->config_lock);
  struct mw_config *before = app->config;
  app->config = config_ref(config);
  lock_release(&app->config_lock);
  return before;
}
