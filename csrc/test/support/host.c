#define _XOPEN_SOURCE 700

#include "test/support/host.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "server/server.h"
#include "server/worker_thread.h"
#include "test/support.h"

enum { PATIENCE_MS = 30000 };

static const char *const words[] = {"authenticate", "authorize", "open",       "join",   "leave", "close",   "http",
                                    "message",      "connect",   "disconnect", "stream", "slow",  "presence"};

static void note(struct host *host, const char *prefix, const struct mw_request *request) {
  struct mw_bytes about = mw_request_channel(request);
  if (!about.ptr && mw_request_http(request)) about = mw_request_http(request)->path;
  size_t len = strlen(host->trace);
  snprintf(host->trace + len, sizeof host->trace - len, "%s%s %.*s; ", prefix, words[mw_request_type(request)], (int)about.len,
           about.ptr ? about.ptr : "");
}

static void on_stream_closed(void *context) { ((struct host *)context)->streams_closed++; }

static void answer(struct host *host, struct mw_request *request) {
  enum mw_request_type type = mw_request_type(request);
  struct mw_response response = {.status = 200};
  if (host->refuse & (1u << type)) {
    mw_request_refuse(request, 403, "forbidden", "not you");
  } else if (type == MW_REQUEST_AUTHENTICATE) {
    mw_request_accept(request, "{\"name\":\"ann\"}", 14);
  } else if (type == MW_REQUEST_JOIN) {
    if (mw_request_accept(request, "{\"n\":1}", 7) == 0) host->joined++;
  } else if (type == MW_REQUEST_HTTP) {
    response.body = mw_request_http(request)->path;
    mw_request_respond(request, &response, NULL);
  } else if (type == MW_REQUEST_STREAM) {
    if (mw_request_stream(request, NULL, &host->streams[host->stream_count], on_stream_closed, host, NULL) == 0)
      host->stream_count++;
  } else {
    host->opened += (type == MW_REQUEST_OPEN) - (type == MW_REQUEST_CLOSE);
    host->joined -= type == MW_REQUEST_LEAVE;
    mw_request_accept(request, NULL, 0);
  }
}

static void on_request(void *context, struct mw_request *request) {
  struct host *host = context;
  note(host, "", request);
  if (host->keep & (1u << mw_request_type(request))) {
    assert_true(host->kept_count < HOST_KEPT_MAX);
    host->kept[host->kept_count++] = request;
  } else {
    answer(host, request);
  }
}

static void unkeep(struct host *host, struct mw_request *request) {
  size_t i = 0;
  while (host->kept[i] != request) i++;
  host->kept_count--;
  for (; i < host->kept_count; i++) host->kept[i] = host->kept[i + 1];
}

static void on_cancel(void *context, struct mw_request *request) {
  struct host *host = context;
  note(host, "cancel ", request);
  assert_true(mw_request_cancelled(request));
  if (!host->yields) return;
  unkeep(host, request);
  mw_request_refuse(request, 500, "internal", "cancelled");
}

static int make_config(struct mw_config **config, struct host *host, const struct host_options *options, struct mw_error *error) {
  struct mw_config_options config_options;
  mw_config_options_init(&config_options);
  config_options.publish_key = "key";
  config_options.on_request = on_request;
  config_options.on_cancel = on_cancel;
  config_options.context = host;
  if (options->set) options->set(&config_options);
  int status = mw_config_new(config, &config_options, error);
  if (status == 0 && options->define) status = options->define(*config);
  return status;
}

static unsigned worker_count(const struct host_options *options) {
  const char *text = getenv("MOONWIRE_TEST_WORKERS");
  return options->workers > 0 || !text ? options->workers : (unsigned)atoi(text);
}

static int make_server(struct host *host, const struct host_options *options, struct mw_error *error) {
  struct mw_config *config = NULL;
  int status = make_config(&config, host, options, error);
  struct mw_server_options server_options = {.config = config, .loop = options->loop, .workers = worker_count(options)};
  if (status >= 0) status = mw_server_new(&host->server, &server_options, error);
  mw_config_unref(config);
  return status;
}

int host_set_config(struct host *host, const struct host_options *options) {
  struct mw_config *config = NULL;
  int status = make_config(&config, host, options, NULL);
  if (status >= 0) status = bus_set_config(host->server, config);
  mw_config_unref(config);
  return status;
}

int host_begin(struct host *host, const struct host_options *options) {
  static unsigned count;
  struct mw_error error = {""};
  *host = (struct host){.server = NULL};
  int status = make_server(host, options, &error);
  if (status < 0) return status;
  snprintf(host->address, sizeof host->address, "127.0.0.1:0");
  if (options->is_unix) snprintf(host->address, sizeof host->address, "unix:/tmp/moonwire-host-%d-%u", (int)getpid(), count++);
  status = mw_server_listen(host->server, host->address, NULL, &error);
  if (status == 0) {
    snprintf(host->address, sizeof host->address, "%s", mw_server_address(host->server, 0));
  } else {
    mw_server_free(host->server);
    host->server = NULL;
  }
  return status;
}

void host_end(struct host *host) {
  /* Before the server, which they use. */
  for (size_t i = 0; i < host->stream_count; i++) mw_stream_unref(host->streams[i]);
  host->stream_count = 0;
  /* A server that has stopped asserts that all its counters are zero. A request that the test keeps
   * would wait indefinitely. */
  if (host->server && host->kept_count == 0) {
    host_stop(host);
    host_settle(host);
  }
  mw_server_free(host->server);
  host->server = NULL;
}

static struct mw_request *take_kept(struct host *host) {
  assert_true(host->kept_count > 0);
  struct mw_request *request = host->kept[0];
  unkeep(host, request);
  return request;
}

void host_answer(struct host *host) { answer(host, take_kept(host)); }
void host_refuse(struct host *host) { mw_request_refuse(take_kept(host), 403, "forbidden", "not you"); }

int host_publish(struct host *host, const char *channel, const char *data) {
  struct mw_publish publish = {.channel = {channel, strlen(channel)}, .data = {data, strlen(data)}};
  return mw_publish(host->server, &publish, NULL, NULL);
}

static void on_stopped(void *context) { ((struct host *)context)->stops++; }

void host_stop(struct host *host) { mw_server_stop(host->server, on_stopped, host); }

static void pass(struct worker *worker, void *context) {
  clock_advance(&worker->loop->clock, *(const uint64_t *)context);
  timers_run(&worker->http.timers);
}

static void call_workers(struct mw_server *server, void (*run)(struct worker *worker, void *context), void *context) {
  for (size_t i = 0; i < server->worker_count; i++) worker_call(&server->workers[i], run, context);
}

void host_pass(struct host *host, uint64_t ms) {
  struct mw_server *server = host->server;
  call_workers(server, pass, &ms);
  if (server->is_threaded) {
    clock_advance(&server->loop.clock, ms);
    script_second(&server->script);
  }
  host_settle(host);
}

uint64_t host_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void host_wait(struct host *host, uint64_t begun_ms, const char *condition, const char *file, int line) {
  struct pollfd poll_fd = {.fd = mw_server_fd(host->server), .events = POLLIN};
  mw_server_step(host->server);
  poll(&poll_fd, 1, mw_server_timeout(host->server) == 0 ? 0 : 1);
  if (host_now_ms() < begun_ms + PATIENCE_MS) return;
  print_error("%s:%d: waited for %s\n  requests to the app: %s\n", file, line, condition, host->trace);
  _fail(file, line);
}

static void do_nothing(struct worker *worker, void *context) {
  (void)worker;
  (void)context;
}

void host_settle(struct host *host) {
  for (unsigned n = 0; n < 10; n++) {
    mw_server_step(host->server);
    call_workers(host->server, do_nothing, NULL); /* a turn of each that has a thread */
  }
}
