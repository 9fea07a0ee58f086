#include "load/phase.h"

#include <time.h>

enum { WAIT_MS = 50 };

struct schedule {
  const struct phase *phase;
  uint64_t begin_ns, end_ns;
  uint64_t count; /* messages that were published */
};

static uint64_t nanoseconds(double seconds) { return (uint64_t)(seconds * 1e9); }

static uint64_t own_cpu_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static uint64_t due_ns(const struct schedule *schedule, uint64_t number) {
  return schedule->begin_ns + (uint64_t)((double)number * 1e9 / schedule->phase->rate);
}

static bool has_room(const struct phase_context *context, const struct phase *phase) {
  return !context->publisher->is_post || context->publisher->unanswered < phase->depth;
}

static void publish(const struct phase_context *context, struct schedule *schedule, uint64_t due) {
  struct mark marks[BATCH_MAX];
  uint32_t count = schedule->phase->batch;
  for (uint32_t i = 0; i < count; i++) {
    marks[i] = deliveries_publish(context->deliveries, true);
    marks[i].size = schedule->phase->size;
    marks[i].due_ns = due;
  }
  publisher_publish(context->publisher, marks, count);
  schedule->count += count;
}

/* Publishes what may be published now. Returns how long to wait at most, in milliseconds. */
static int publish_window(const struct phase_context *context, struct schedule *schedule) {
  const struct phase *phase = schedule->phase;
  uint64_t now = now_ns();
  while (context->deliveries->in_flight + phase->batch <= phase->window && has_room(context, phase))
    publish(context, schedule, now);
  return WAIT_MS;
}

/* Within a millisecond of the next message, does not sleep: the core belongs to this process. */
static int publish_rate(const struct phase_context *context, struct schedule *schedule) {
  uint64_t now = now_ns(), due;
  while ((due = due_ns(schedule, schedule->count)) <= now && has_room(context, schedule->phase)) publish(context, schedule, due);
  if (due <= now) return 1;
  uint64_t ms = (due - now) / 1000000;
  return ms < 1 ? 0 : ms > WAIT_MS ? WAIT_MS : (int)ms - 1;
}

static bool is_stalled(const struct phase_context *context, uint64_t begin_ns) {
  const struct deliveries *deliveries = context->deliveries;
  uint64_t last = deliveries->last_ns > begin_ns ? deliveries->last_ns : begin_ns;
  bool is_waiting = deliveries->in_flight > 0 || context->publisher->unanswered > 0;
  return is_waiting && now_ns() > last + nanoseconds(context->stall_seconds);
}

static void give_up(const struct phase_context *context) {
  struct deliveries *deliveries = context->deliveries;
  deliveries->faults.stalled++;
  faults_state(&deliveries->faults, "nothing arrived for %.1f s, with %llu messages in flight and %zu requests without an answer",
               context->stall_seconds, (unsigned long long)deliveries->in_flight, context->publisher->unanswered);
  deliveries_give_up(deliveries);
}

static void publish_for(const struct phase_context *context, const struct phase *phase, double seconds) {
  struct deliveries *deliveries = context->deliveries;
  uint64_t begin = now_ns();
  struct schedule schedule = {.phase = phase, .begin_ns = begin, .end_ns = begin + nanoseconds(seconds)};
  bool is_over = false;
  while (!is_over || deliveries->in_flight > 0 || context->publisher->unanswered > 0) {
    int wait = WAIT_MS;
    is_over = is_over || now_ns() >= schedule.end_ns;
    if (!is_over) wait = phase->window > 0 ? publish_window(context, &schedule) : publish_rate(context, &schedule);
    publisher_flush(context->publisher);
    poller_turn(context->poller, wait);
    if (is_stalled(context, begin)) {
      give_up(context);
      break;
    }
  }
}

static void read_usage(const struct phase_context *context, struct process_usage *usage) {
  for (size_t i = 0; i < context->pid_count; i++) usage[i] = process_usage(context->pids[i]);
}

void phase_run(const struct phase_context *context, const struct phase *phase, struct phase_result *result) {
  struct deliveries *deliveries = context->deliveries;
  struct process_usage begin[PROCESSES_MAX], end[PROCESSES_MAX];
  if (phase->warmup > 0) publish_for(context, phase, phase->warmup);

  deliveries->latency = (struct histogram){0};
  deliveries->is_measured = true;
  uint64_t messages = deliveries->published, count = deliveries->count, reads = context->poller->reads;
  uint64_t own = own_cpu_ns(), begin_ns = now_ns();
  read_usage(context, begin);
  publish_for(context, phase, phase->seconds);
  read_usage(context, end);
  deliveries->is_measured = false;

  const struct histogram *latency = &deliveries->latency;
  *result = (struct phase_result){
      .messages = deliveries->published - messages,
      .deliveries = deliveries->count - count,
      .reads = context->poller->reads - reads,
      .seconds = (double)(now_ns() - begin_ns) / 1e9,
      .own_cpu_ns = own_cpu_ns() - own,
      .p50_ns = histogram_at(latency, 0.5),
      .p90_ns = histogram_at(latency, 0.9),
      .p99_ns = histogram_at(latency, 0.99),
      .p999_ns = histogram_at(latency, 0.999),
      .max_ns = latency->max_ns,
  };
  for (size_t i = 0; i < context->pid_count; i++) result->server[i] = process_used(&begin[i], &end[i]);
}
