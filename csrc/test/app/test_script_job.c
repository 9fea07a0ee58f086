#include "app/script_job.h"
#include "test/support.h"

static struct mw_config *make_config(void) {
  struct mw_config_options options;
  struct mw_config *config;
  mw_config_options_init(&options);
  assert_int_equal(mw_config_new(&config, &options, NULL), 0);
  assert_int_equal(mw_config_channel(config, "room", &(struct mw_channel_options){.history_size = 0}, NULL), 0);
  return config;
}

/* Another worker has put a newer configuration in place since the channel's kind was found. */
static void has_the_configuration_of_its_kinds(void **state) {
  (void)state;
  struct mw_config *older = make_config(), *newer = make_config();
  struct job_channel channel = {.name = BYTES("room"), .kind = config_kind(older, BYTES("room"))};
  struct script_job *job = job_new(JOB_HISTORY, newer, NULL, NULL, &channel, 1);
  assert_ptr_equal(job->config, older);
  mw_config_unref(older);
  assert_int_equal(job->channels[0].kind->presence, MW_PRESENCE_NONE); /* it is still there */
  job_unref(job);
  job = job_new(JOB_JOIN, newer, NULL, NULL, NULL, 0);
  assert_ptr_equal(job->config, newer);
  job_unref(job);
  mw_config_unref(newer);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(has_the_configuration_of_its_kinds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
