/* Everything at once, again and again, each time failing one allocation more than the time before.
 * Clients return as browsers do; in the end all of them must have everything, or know that they
 * have not, and nothing may be left behind. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "server/server.h"
#include "test/support.h"
#include "test/support/host.h"

enum { MESSAGES = 12, ALL_HOOKS = 31, PATIENCE_MS = 25000 };

static char folder[64];

static int define(struct mw_config *config) {
  static const struct mw_channel_options hooked = {.hooks = ALL_HOOKS, .history_size = 100}, plain = {.history_size = 100};
  int status = mw_config_channel(config, "hooked:{x}", &hooked, NULL);
  if (status >= 0) status = mw_config_channel(config, "{x}", &plain, NULL);
  if (status >= 0) status = mw_config_route(config, "GET", "/app/{x}", NULL);
  if (status >= 0) status = mw_config_stream(config, "GET", "/raw", NULL);
  if (status >= 0) status = mw_config_static(config, "/files", folder, NULL, NULL);
  if (status >= 0) status = mw_config_origin(config, "https://a.example", NULL);
  return status < 0 ? status : 0;
}

static void set(struct mw_config_options *options) {
  options->authenticate = true;
  options->limits.answer_ms = 1000; /* an answer that is lost to memory is given up soon */
  options->limits.drain_ms = 600000;
}

/* An EventSource: returns with the last id that it saw, and is lost permanently if it gets anything
 * but a stream. */
struct reader {
  struct peer peer;
  const char *target;
  char last_id[64];
  unsigned last;      /* the number of the newest message */
  size_t parsed;      /* bytes of the stream that were read */
  bool is_connected;  /* has sent its request */
  unsigned gap_until; /* it was told of a gap: some up to here may be missing */
  bool returns;       /* to leave once, in the middle */
};

struct scenario {
  struct host host;
  struct reader readers[3];
  struct peer asker, raw;
  size_t asked;          /* requests of the asker that were answered */
  bool asker_waits;      /* for an answer */
  unsigned published[2]; /* of "a" and "b", which take turns, and of "hooked:c" */
  bool raw_is_over;
};

/* ---- Readers --------------------------------------------------------------------------------- */

static void read_block(struct reader *reader, const char *block, size_t len, unsigned published) {
  char text[512];
  assert_true(len < sizeof text);
  memcpy(text, block, len);
  text[len] = '\0';
  const char *id = strstr(text, "id: "), *data = strstr(text, "data: "), *pushed = strstr(text, "\"data\":");
  if (id) snprintf(reader->last_id, sizeof reader->last_id, "%.*s", (int)strcspn(id + 4, "\n"), id + 4);
  if (strstr(text, "moonwire:gap")) reader->gap_until = published;
  if (!data || strstr(text, "moonwire:")) return;
  unsigned number = (unsigned)strtoul(pushed ? pushed + 7 : data + 6, NULL, 10);
  bool follows = number == reader->last + 1 || (number > reader->last && number <= reader->gap_until + 1);
  if (!follows) print_error("%s: %u after %u in\n%s\n", reader->target, number, reader->last, reader->peer.stream);
  assert_true(follows);
  reader->last = number;
}

static void hang_up(struct reader *reader) {
  peer_close(&reader->peer);
  reader->is_connected = false;
  reader->parsed = 0;
}

static void step_reader(struct scenario *scenario, struct reader *reader) {
  char field[128] = "Origin: https://a.example\r\n";
  if (!reader->is_connected) {
    size_t len = strlen(field);
    if (reader->last_id[0]) snprintf(field + len, sizeof field - len, "Last-Event-ID: %s\r\n", reader->last_id);
    peer_connect(&reader->peer, &scenario->host);
    peer_get(&reader->peer, reader->target, field);
    reader->is_connected = true;
  }
  const char *stream = peer_stream(&reader->peer), *end;
  unsigned published = scenario->published[reader == &scenario->readers[1]];
  if (!stream && reader->peer.len > 15) assert_memory_equal(reader->peer.in, "HTTP/1.1 200 OK", 15);
  while (stream && (end = strstr(stream + reader->parsed, "\n\n"))) {
    read_block(reader, stream + reader->parsed, (size_t)(end - stream) - reader->parsed, published);
    reader->parsed = (size_t)(end - stream) + 2;
  }
  bool leaves = reader->returns && reader->last >= MESSAGES / 2;
  if (leaves) reader->returns = false;
  if (leaves || peer_ended(&reader->peer)) hang_up(reader);
}

/* ---- The asker ------------------------------------------------------------------------------- */

static const struct {
  const char *request, *answer;
} questions[] = {
    {"GET /app/1 HTTP/1.1\r\nHost: t\r\n\r\n", "/app/1"},
    {"GET /health HTTP/1.1\r\nHost: t\r\n\r\n", "\"ok\""},
    {"POST /publish HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer key\r\nTransfer-Encoding: chunked\r\n\r\n"
     "8\r\n{\"channe\r\nf\r\nl\":\"else\\u0021\"\r\n1\r\n}\r\n0\r\n\r\n",
     "{\"id\":"},
    {"GET /files/f HTTP/1.1\r\nHost: t\r\n\r\n", "the file"},
    {"OPTIONS /sse HTTP/1.1\r\nHost: t\r\nOrigin: https://a.example\r\n\r\n", "Access-Control-Max-Age"},
    {"DELETE /app/1 HTTP/1.1\r\nHost: t\r\n\r\n", "bad_request"},
};

/* Asks one question after the other, and again what was refused or cut off. */
static void step_asker(struct scenario *scenario) {
  struct peer *asker = &scenario->asker;
  if (scenario->asked == COUNT_OF(questions)) return;
  if (asker->fd < 0) peer_connect(asker, &scenario->host);
  if (!scenario->asker_waits) peer_send(asker, questions[scenario->asked].request);
  scenario->asker_waits = true;
  if (peer_has(asker, questions[scenario->asked].answer)) {
    scenario->asked++;
    scenario->asker_waits = false;
    asker->len = 0;
  } else if (peer_has(asker, "\"unavailable\"") || peer_ended(asker)) {
    peer_close(asker);
    scenario->asker_waits = false;
  }
}

/* ---- The raw stream -------------------------------------------------------------------------- */

static void step_raw(struct scenario *scenario) {
  struct host *host = &scenario->host;
  static const struct mw_stream_event event = {.data = {"x", 1}, .retry_ms = -1};
  if (scenario->raw_is_over) return;
  if (scenario->raw.fd < 0) {
    peer_connect(&scenario->raw, host);
    peer_get(&scenario->raw, "/raw", "");
  }
  for (size_t i = 0; i < host->stream_count; i++) {
    int status = mw_stream_send(host->streams[i], &event);
    assert_true(status == 0 || status == MW_ENOMEM || status == MW_ECLOSED);
    if (peer_has(&scenario->raw, "data: x\n")) mw_stream_close(host->streams[i]);
  }
  if (!peer_ended(&scenario->raw)) return;
  scenario->raw_is_over = peer_has(&scenario->raw, "data: x\n") && peer_has(&scenario->raw, "\r\n0\r\n\r\n");
  if (scenario->raw.len > 15) assert_memory_equal(scenario->raw.in, "HTTP/1.1 200 OK", 15);
  peer_close(&scenario->raw);
}

/* ---- The scenario ---------------------------------------------------------------------------- */

static bool is_reading(const struct reader *reader) { return reader->last_id[0] != '\0'; }

static void step_publisher(struct scenario *scenario) {
  static const char *const channels[2][2] = {{"a", "b"}, {"hooked:c", "hooked:c"}};
  for (size_t i = 0; i < 2; i++) {
    const struct reader *reader = &scenario->readers[i];
    unsigned n = scenario->published[i];
    char number[16];
    snprintf(number, sizeof number, "%u", n + 1);
    /* From when someone listens, and at most a few ahead of it. */
    if (!is_reading(reader) || n == MESSAGES || n > reader->last + 3) continue;
    int status = host_publish(&scenario->host, channels[i][n % 2], number);
    assert_true(status == 0 || status == MW_ENOMEM);
    if (status == 0) scenario->published[i]++;
  }
}

static bool is_done(const struct scenario *scenario) {
  for (size_t i = 0; i < COUNT_OF(scenario->readers); i++) {
    if (scenario->readers[i].last < MESSAGES || scenario->readers[i].returns) return false;
  }
  return scenario->asked == COUNT_OF(questions) && scenario->raw_is_over;
}

static void step(struct scenario *scenario) {
  mw_server_step(scenario->host.server);
  for (size_t i = 0; i < COUNT_OF(scenario->readers); i++) {
    if (i < 2 || scenario->published[0] == MESSAGES) step_reader(scenario, &scenario->readers[i]);
  }
  /* The last one returns, when all is said, with the place where the first began. */
  if (scenario->published[0] == 0)
    memcpy(scenario->readers[2].last_id, scenario->readers[0].last_id, sizeof scenario->readers[0].last_id);
  step_asker(scenario);
  step_raw(scenario);
  step_publisher(scenario);
  if (scenario->host.kept_count > 0) host_answer(&scenario->host);
}

static void fail_if_late(const struct scenario *scenario, uint64_t begun_ms) {
  if (host_now_ms() < begun_ms + PATIENCE_MS) return;
  print_error("readers have %u %u %u, asked %zu, raw %d, the app was asked: %s\n", scenario->readers[0].last,
              scenario->readers[1].last, scenario->readers[2].last, scenario->asked, scenario->raw_is_over, scenario->host.trace);
  fail();
}

static void stop(struct scenario *scenario) {
  uint64_t begun_ms = host_now_ms();
  host_stop(&scenario->host);
  while (!scenario->host.stops) {
    mw_server_step(scenario->host.server);
    if (scenario->host.kept_count > 0) host_answer(&scenario->host);
    fail_if_late(scenario, begun_ms);
  }
  assert_int_equal(scenario->host.joined, 0);
  assert_int_equal(scenario->host.opened, 0);
  assert_int_equal(mw_live("conn"), 0);
  assert_int_equal(mw_live("subscription"), 0);
}

static bool live(void *context) {
  static struct scenario scenario;
  unsigned keep = *(unsigned *)context;
  scenario = (struct scenario){.readers = {{.target = "/sse?channel=a&channel=b", .returns = true, .peer = {.fd = -1}},
                                           {.target = "/sse?channel=hooked:c&envelope=1", .returns = true, .peer = {.fd = -1}},
                                           {.target = "/sse?channel=b&channel=a", .peer = {.fd = -1}}},
                               .asker = {.fd = -1},
                               .raw = {.fd = -1}};
  int status = host_begin(&scenario.host, &(struct host_options){.define = define, .set = set, .is_unix = true});
  if (status < 0) {
    assert_int_equal(status, MW_ENOMEM);
    return false;
  }
  scenario.host.keep = keep;
  for (uint64_t begun_ms = host_now_ms(); !is_done(&scenario); fail_if_late(&scenario, begun_ms)) step(&scenario);
  stop(&scenario);
  for (size_t i = 0; i < COUNT_OF(scenario.readers); i++) peer_close(&scenario.readers[i].peer);
  peer_close(&scenario.asker);
  peer_close(&scenario.raw);
  host_end(&scenario.host);
  for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) assert_int_equal(object_live((enum object_kind)kind), 0);
  return true;
}

/* ---- The tests ------------------------------------------------------------------------------- */

static int begin(void **state) {
  int status = support_setup(state);
  char path[80];
  snprintf(folder, sizeof folder, "/tmp/moonwire-memory-XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/f", folder);
  int fd = open(path, O_CREAT | O_WRONLY, 0600);
  assert_int_equal(write(fd, "the file", 8), 8);
  close(fd);
  return status;
}

static int end(void **state) {
  char path[80];
  snprintf(path, sizeof path, "%s/f", folder);
  unlink(path);
  rmdir(folder);
  return support_teardown(state);
}

static void stands_failing_memory(void **state) {
  (void)state;
  unsigned keep = 0;
  assert_true(support_fail_each(live, &keep) > 200);
}

static void stands_it_when_the_app_answers_later(void **state) {
  (void)state;
  unsigned keep = 0xff;
  assert_true(support_fail_each(live, &keep) > 200);
}

int main(void) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(stands_failing_memory, begin, end),
      cmocka_unit_test_setup_teardown(stands_it_when_the_app_answers_later, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
