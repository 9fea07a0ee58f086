#include "app/app.h"

int app_init(struct app *app, struct mw_config *config) {
  *app = (struct app){.config = config_ref(config)};
  int status = registry_init(&app->registry);
  if (status < 0) goto fail_registry;
  status = parties_init(&app->parties);
  if (status < 0) goto fail_parties;
  status = idempotency_init(&app->idempotency);
  if (status == 0) return 0;
  parties_deinit(&app->parties);
fail_parties:
  registry_deinit(&app->registry);
fail_registry:
  mw_config_unref(config);
  return status;
}

void app_deinit(struct app *app) {
  idempotency_deinit(&app->idempotency);
  parties_deinit(&app->parties);
  registry_deinit(&app->registry);
  mw_config_unref(app->config);
}
