/* A C program that serves channels, without Lua.
 *
 *   embed_c [--poll] [ADDRESS]
 *
 * "room:{name}" is a chat room: a client's "say" is published as "said". "clock" ticks every second. Clients
 * subscribe at /sse and /ws. Without --poll, the server runs on the program's own libuv loop. With it, the
 * program waits in poll(2) and steps the server, like a program with another event loop. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <moonwire.h>

struct app {
  struct mw_server *server;
  struct mw_timer *ticking;
  unsigned ticks;
  bool stopped;
};

/* ---- What the app does ---------------------------------------------------------------------------------------------------- */

static struct mw_bytes text(const char *string) { return (struct mw_bytes){string, strlen(string)}; }

/* Publishes what a client says to the room, and answers with the id of the message. */
static void on_say(struct app *app, struct mw_request *request) {
  const struct mw_message *message = mw_request_message(request);
  struct mw_publish publish = {.channel = mw_request_channel(request),
                               .event = text("said"),
                               .data = message->is_binary ? message->binary : message->data,
                               .is_binary = message->is_binary};
  char id[MW_ID_MAX], answer[MW_ID_MAX + 16];
  struct mw_error error;
  if (mw_publish(app->server, &publish, id, &error) < 0) {
    mw_request_refuse(request, 503, "unavailable", error.text);
    return;
  }
  int len = snprintf(answer, sizeof answer, "{\"id\":\"%s\"}", id);
  mw_request_accept(request, answer, (size_t)len);
}

static void on_request(void *context, struct mw_request *request) {
  if (mw_request_type(request) == MW_REQUEST_MESSAGE) {
    on_say(context, request);
  } else {
    mw_request_accept(request, NULL, 0);
  }
}

static void on_tick(void *context) {
  struct app *app = context;
  char data[32];
  int len = snprintf(data, sizeof data, "{\"tick\":%u}", ++app->ticks);
  struct mw_publish publish = {.channel = text("clock"), .event = text("tick"), .data = {data, (size_t)len}};
  struct mw_error error;
  if (mw_publish(app->server, &publish, NULL, &error) < 0) fprintf(stderr, "tick not published: %s\n", error.text);
}

static void on_stopped(void *context) { ((struct app *)context)->stopped = true; }

static void on_signal(void *context, int signum) {
  struct app *app = context;
  (void)signum;
  mw_server_stop(app->server, on_stopped, app);
}

/* ---- What the app is ------------------------------------------------------------------------------------------------------- */

static int define(struct mw_config **config, struct app *app, struct mw_error *error) {
  static const struct mw_event_rule room_events[] = {{.event = "say"}, {.event = "typing", .relay = true}};
  const struct mw_channel_options room = {.events = room_events, .event_count = 2, .history_size = 100, .history_replay = 20};
  const struct mw_channel_options clock = {.history_size = 1, .history_replay = 1};
  struct mw_config_options options;
  mw_config_options_init(&options);
  options.on_request = on_request;
  options.context = app;
  int status = mw_config_new(config, &options, error);
  if (status < 0) return status;
  /* These return the number of the kind, or a status. */
  status = mw_config_channel(*config, "room:{name}", &room, error);
  if (status >= 0) status = mw_config_channel(*config, "clock", &clock, error);
  if (status < 0) mw_config_unref(*config);
  return status < 0 ? status : 0;
}

static int start(struct app *app, void *loop, const char *address, struct mw_error *error) {
  struct mw_config *config;
  int status = define(&config, app, error);
  if (status < 0) return status;
  status = mw_server_new(&app->server, &(struct mw_server_options){.config = config, .loop = loop}, error);
  mw_config_unref(config); /* the server keeps a reference of its own */
  if (status < 0) return status;
  status = mw_server_listen(app->server, address, NULL, error);
  if (status < 0) return status;
  status = mw_timer_new(&app->ticking, app->server, 1000, 1000, on_tick, app);
  if (status == 0) status = mw_server_on_signal(app->server, SIGTERM, on_signal, app);
  if (status == 0) status = mw_server_on_signal(app->server, SIGINT, on_signal, app);
  if (status < 0) snprintf(error->text, sizeof error->text, "%s", mw_status_text(status));
  return status;
}

/* ---- Two ways to run it ---------------------------------------------------------------------------------------------------- */

static void run_loop(struct app *app, uv_loop_t *loop) {
  while (!app->stopped) uv_run(loop, UV_RUN_ONCE);
}

static void run_poll(struct app *app) {
  struct pollfd ready = {.fd = mw_server_fd(app->server), .events = POLLIN};
  /* Add the program's own descriptors to the array. */
  while (mw_server_step(app->server)) poll(&ready, 1, mw_server_timeout(app->server));
}

static int report_leaks(void) {
  static const char *const kinds[] = {"conn",    "session", "client", "request",      "channel",
                                      "message", "blob",    "memory", "subscription", NULL};
  int status = EXIT_SUCCESS;
  for (size_t i = 0; kinds[i]; i++) {
    if (mw_live(kinds[i]) == 0) continue;
    fprintf(stderr, "leaked: %lld of %s\n", (long long)mw_live(kinds[i]), kinds[i]);
    status = EXIT_FAILURE;
  }
  return status;
}

int main(int argc, char **argv) {
  bool polls = argc > 1 && strcmp(argv[1], "--poll") == 0;
  const char *address = argc > (polls ? 2 : 1) ? argv[argc - 1] : "127.0.0.1:8080";
  struct app app = {NULL};
  struct mw_error error = {""};
  uv_loop_t loop;
  uv_loop_init(&loop);
  int status = start(&app, polls ? NULL : &loop, address, &error);
  if (status == 0) {
    printf("listening on %s\n", mw_server_address(app.server, 0));
    fflush(stdout);
  } else {
    fprintf(stderr, "%s\n", error.text);
    if (app.server) mw_server_stop(app.server, on_stopped, &app);
  }
  if (app.server && polls) run_poll(&app);
  if (app.server && !polls) run_loop(&app, &loop);
  mw_timer_free(app.ticking);
  mw_server_free(app.server);
  /* The server's handles close in the last iterations of the loop. */
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return status < 0 ? EXIT_FAILURE : report_leaks();
}
