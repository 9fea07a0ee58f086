/* Load generator: opens subscribers, publishes, checks and measures what they receive. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "load/report.h"

enum { CONNECTING_MAX = 100, TURN_MS = 10, ROUND_MS = 250, QUIET_MS = 50, READY_SECONDS = 20 };

struct load {
  struct options options;
  struct poller poller;
  struct deliveries deliveries;
  struct crowd crowds[TRANSPORT_COUNT]; /* one for each transport that is used */
  uint32_t crowd_count;
  struct publisher publisher;
  struct subscriber *subscribers;
  struct connect_result connected;
};

static uint64_t after_ms(uint64_t ms) { return now_ns() + ms * 1000000; }

/* Runs turns until that time. */
static void wait_until(struct load *load, uint64_t end_ns) {
  while (now_ns() < end_ns) poller_turn(&load->poller, TURN_MS);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static uint32_t count_open(const struct load *load) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < load->crowd_count; i++) count += load->crowds[i].open;
  return count;
}

static uint32_t count_failed(const struct load *load) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < load->crowd_count; i++) count += load->crowds[i].failed;
  return count;
}

static void check_progress(const struct load *load, uint64_t end_ns, const char *what, uint64_t count) {
  const char *first = load->deliveries.faults.first;
  if (count_failed(load) > 0 || now_ns() > end_ns)
    die("%" PRIu64 " of %" PRIu32 " subscribers %s%s%s", count, load->options.subscribers, what, first[0] ? "; " : "", first);
}

static void open_subscribers(struct load *load) {
  const struct options *options = &load->options;
  uint32_t begun = 0, channels = options->channels;
  uint64_t end_ns = after_ms((uint64_t)(options->connect_timeout * 1e3));
  while (count_open(load) < options->subscribers) {
    for (; begun < options->subscribers && begun - count_open(load) < CONNECTING_MAX; begun++)
      subscriber_open(&load->subscribers[begun], &load->crowds[begun / channels % load->crowd_count], begun, begun % channels);
    poller_turn(&load->poller, TURN_MS);
    check_progress(load, end_ns, "are subscribed", count_open(load));
  }
}

static void connect_all(struct load *load) {
  const struct options *options = &load->options;
  struct connect_result *connected = &load->connected;
  struct process_usage before[PROCESSES_MAX] = {0};
  for (size_t i = 0; i < options->pid_count; i++) {
    before[i] = process_usage(options->pids[i]);
    connected->before[i] = process_memory(options->pids[i]);
  }
  uint64_t begin_ns = now_ns();
  open_subscribers(load);
  connected->seconds = (double)(now_ns() - begin_ns) / 1e9;
  for (size_t i = 0; i < options->pid_count; i++) {
    struct process_usage after = process_usage(options->pids[i]);
    connected->server_cpu_ns += after.cpu_ns - before[i].cpu_ns;
  }
  wait_until(load, after_ms((uint64_t)(options->settle * 1e3)));
  for (size_t i = 0; i < options->pid_count; i++) connected->after[i] = process_memory(options->pids[i]);
}

/* ---- Readiness ------------------------------------------------------------------------------- */

static void publish_round(struct load *load) {
  for (uint32_t i = 0; i < load->options.channels; i++) {
    struct mark mark = deliveries_publish(&load->deliveries, false);
    mark.size = MARK_SIZE_MIN;
    publisher_publish(&load->publisher, &mark, 1);
  }
  publisher_flush(&load->publisher);
}

/* Publishes to each channel until every subscriber has received something: some servers confirm a
 * subscription before it stands. Then waits until no more arrives. */
static void get_ready(struct load *load) {
  const uint32_t count = load->options.subscribers;
  uint64_t end_ns = after_ms(READY_SECONDS * 1000);
  while (!load->publisher.is_open) {
    poller_turn(&load->poller, TURN_MS);
    if (now_ns() > end_ns) die("the publisher is not connected after %d s", READY_SECONDS);
  }
  while (load->deliveries.begun < count) {
    publish_round(load);
    for (uint64_t next_ns = after_ms(ROUND_MS); now_ns() < next_ns && load->deliveries.begun < count;)
      poller_turn(&load->poller, TURN_MS);
    check_progress(load, end_ns, "receive what is published", load->deliveries.begun);
  }
  uint64_t seen;
  do {
    seen = load->deliveries.count;
    wait_until(load, after_ms(QUIET_MS));
    if (now_ns() > end_ns) die("the server does not come to rest, or does not answer a publish, within %d s", READY_SECONDS);
  } while (load->deliveries.count > seen || load->publisher.unanswered > 0);
}

/* ---- Running --------------------------------------------------------------------------------- */

static void check_ledgers(struct load *load) {
  for (uint32_t i = 0; i < load->options.subscribers; i++) {
    struct subscriber *subscriber = &load->subscribers[i];
    uint32_t published = deliveries_published(&load->deliveries, subscriber->channel);
    ledger_end(&subscriber->ledger, published, i, &load->deliveries.faults);
  }
}

static void add_crowd(struct load *load, enum transport transport) {
  const struct options *options = &load->options;
  struct crowd *crowd = &load->crowds[load->crowd_count++];
  *crowd = (struct crowd){.poller = &load->poller,
                          .deliveries = &load->deliveries,
                          .transport = transport,
                          .target = options->subscribe,
                          .greetings = options->subscribe_greetings,
                          .cursor = options->cursor};
  crowd->target.path = options->paths[transport];
}

static void load_init(struct load *load) {
  const struct options *options = &load->options;
  uint64_t descriptors = raise_descriptor_limit();
  if (descriptors < (uint64_t)options->subscribers + 16)
    die("%" PRIu32 " subscribers need as many descriptors, and the limit is %" PRIu64 " (ulimit -Hn)", options->subscribers,
        descriptors);
  mark_init((uint32_t)getpid());
  poller_init(&load->poller);
  deliveries_init(&load->deliveries, options->subscribers, options->channels);
  for (int i = 0; i < TRANSPORT_COUNT; i++)
    if (options->paths[i]) add_crowd(load, (enum transport)i);
  load->publisher = (struct publisher){.deliveries = &load->deliveries,
                                       .is_post = options->is_post,
                                       .target = options->publish,
                                       .greetings = options->publish_greetings,
                                       .message = options->message};
  load->subscribers = calloc(options->subscribers, sizeof(struct subscriber));
  if (!load->subscribers) die("out of memory");
}

static void load_deinit(struct load *load) {
  for (uint32_t i = 0; i < load->options.subscribers; i++) subscriber_close(&load->subscribers[i]);
  free(load->subscribers);
  publisher_close(&load->publisher);
  deliveries_deinit(&load->deliveries);
  poller_deinit(&load->poller);
  options_deinit(&load->options);
}

int main(int argc, char **argv) {
  static struct load load;
  struct phase_result results[PHASES_MAX];
  options_read(&load.options, argc, argv);
  load_init(&load);
  connect_all(&load);
  publisher_open(&load.publisher, &load.poller);
  get_ready(&load);

  struct phase_context context = {.poller = &load.poller,
                                  .publisher = &load.publisher,
                                  .deliveries = &load.deliveries,
                                  .pids = load.options.pids,
                                  .pid_count = load.options.pid_count,
                                  .stall_seconds = load.options.stall};
  for (size_t i = 0; i < load.options.phase_count; i++) phase_run(&context, &load.options.phases[i], &results[i]);
  wait_until(&load, after_ms(QUIET_MS));
  check_ledgers(&load);
  report_print(&load.options, &load.connected, results, &load.deliveries.faults);
  int status = load.options.is_strict && faults_total(&load.deliveries.faults) > 0 ? 3 : 0;
  load_deinit(&load);
  return status;
}
