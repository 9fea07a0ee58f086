/* Files that stand for others, and the app's own answer to what is not found; also without
 * memory. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"
#include "test/support.h"
#include "test/support/memory_peer.h"

static char folder[64];

static void write_file(const char *name, const char *content) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, content, strlen(content)), strlen(content));
  close(fd);
}

static int begin(void **state) {
  snprintf(folder, sizeof folder, "/tmp/moonwire-fallback-XXXXXX");
  assert_non_null(mkdtemp(folder));
  write_file("index.html", "the page");
  write_file("app.js", "the script");
  return support_setup(state);
}

static int end(void **state) {
  char path[128];
  snprintf(path, sizeof path, "%s/index.html", folder);
  unlink(path);
  snprintf(path, sizeof path, "%s/app.js", folder);
  unlink(path);
  rmdir(folder);
  return support_teardown(state);
}

static void on_request(void *context, struct mw_request *request) {
  (void)context;
  const struct mw_http *http = mw_request_http(request);
  struct mw_response response = {.status = 404, .body = http->path};
  mw_request_respond(request, &response, NULL);
}

static struct mw_server *start_server(void) {
  struct mw_config_options options;
  struct mw_config *config;
  struct mw_server *server = NULL;
  struct mw_http_field field = {{"X-Of-Files", 10}, {"yes", 3}};
  struct mw_static_options files = {.fallback = "index.html", .cache_s = 60, .fields = &field, .field_count = 1};
  mw_config_options_init(&options);
  options.on_request = on_request;
  if (mw_config_new(&config, &options, NULL) < 0) return NULL;
  bool ok = mw_config_static(config, "/files", folder, &files, NULL) == 0 && mw_config_not_found(config, NULL) > 0;
  if (ok && mw_server_new(&server, &(struct mw_server_options){.config = config}, NULL) < 0) server = NULL;
  mw_config_unref(config);
  if (server) mw_server_advance(server, 0);
  return server;
}

static const struct {
  const char *target;
  const char *status, *body, *cache;
} cases[] = {
    {"/files/", "200", "the page", "no-cache"},
    {"/files/users/7", "200", "the page", "no-cache"},
    {"/files/app.js", "200", "the script", "max-age=60"},
    {"/files/none.js", "404", "/files/none.js", NULL},
    {"/files/.hidden", "404", "/files/.hidden", NULL},
    {"/files//x", "404", "/files//x", NULL},
    {"/filesx", "404", "/filesx", NULL},
    {"/%41", "404", "/A", NULL},
};

/* Requests a target on a connection of its own. Returns false if the answer is another one. */
static bool ask(struct mw_server *server, size_t i) {
  char request[128], cache[64];
  struct memory_peer peer = {.server = server};
  if (mw_connect_memory(server, &peer.memory) < 0) return false;
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", cases[i].target);
  bool fine = mw_memory_write(peer.memory, request, strlen(request)) == 0;
  mw_server_settle(server);
  char answer[2048];
  size_t len = mw_memory_read(peer.memory, answer, sizeof answer - 1);
  answer[len] = '\0';
  snprintf(cache, sizeof cache, "\r\nCache-Control: %s\r\n", cases[i].cache ? cases[i].cache : "");
  const char *body = strstr(answer, "\r\n\r\n");
  fine = fine && len > 12 && strncmp(answer + 9, cases[i].status, 3) == 0 && body && strcmp(body + 4, cases[i].body) == 0 &&
         (!cases[i].cache || strstr(answer, cache)) && !cases[i].cache == !strstr(answer, "\r\nX-Of-Files: yes\r\n");
  mw_memory_close(peer.memory);
  mw_server_settle(server);
  return fine;
}

static void answers(void **state) {
  (void)state;
  struct mw_server *server = start_server();
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    if (!ask(server, i)) fail_msg("%s", cases[i].target);
  }
  server_finish(server);
}

static bool ask_all(void *context) {
  (void)context;
  struct mw_server *server = start_server();
  if (!server) return false;
  bool fine = true;
  for (size_t i = 0; i < COUNT_OF(cases); i++) fine = ask(server, i) && fine;
  server_finish(server);
  return fine;
}

static void stands_failing_memory(void **state) {
  (void)state;
  assert_true(support_fail_each(ask_all, NULL) > 50);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(answers, begin, end),
                                     cmocka_unit_test_setup_teardown(stands_failing_memory, begin, end)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
