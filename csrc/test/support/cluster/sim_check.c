#include <stdlib.h>

#include "test/support.h"
#include "test/support/cluster/simulation.h"

unsigned check_epoch(struct sim_check *check, const struct epoch *epoch) {
  for (unsigned i = check->epoch_count; i > 0; i--) {
    if (memcmp(&check->epochs[i - 1], epoch, sizeof *epoch) == 0) return i;
  }
  assert_true(check->epoch_count < sizeof check->epochs / sizeof check->epochs[0]);
  check->epochs[check->epoch_count++] = *epoch;
  return check->epoch_count;
}

void check_commit(struct sim_check *check, size_t channel, size_t op, uint64_t position, unsigned epoch) {
  struct sim_log *log = &check->logs[channel];
  if (log->count == log->capacity) {
    log->capacity = log->capacity > 0 ? log->capacity * 2 : 256;
    log->entries = realloc(log->entries, log->capacity * sizeof *log->entries);
  }
  for (size_t i = log->count; i > 0 && log->count - i < 64; i--) {
    if (log->entries[i - 1].op == op && !log->entries[i - 1].is_lost)
      fail_msg("seed %llu: message %zu was published twice", (unsigned long long)check->seed, op);
  }
  log->entries[log->count++] = (struct sim_entry){.op = op, .position = position, .epoch = epoch};
}

void check_lose(struct sim_check *check, unsigned epoch, uint64_t position) {
  for (size_t c = 0; c < SIM_CHANNELS; c++) {
    struct sim_log *log = &check->logs[c];
    for (size_t i = log->count; i > 0 && log->count - i < 1000; i--) {
      struct sim_entry *entry = &log->entries[i - 1];
      if (entry->epoch > epoch || (entry->epoch == epoch && entry->position > position)) entry->is_lost = true;
    }
  }
}

static struct sim_entry *find(struct sim_log *log, size_t op, uint64_t position, size_t from) {
  for (size_t i = from; i < log->count; i++) {
    if (log->entries[i].op == op && log->entries[i].position == position) return &log->entries[i];
  }
  return NULL;
}

void check_see(struct sim_check *check, size_t channel, size_t op, uint64_t position, size_t node) {
  struct sim_log *log = &check->logs[channel];
  struct sim_entry *entry = find(log, op, position, log->count > 2000 ? log->count - 2000 : 0);
  if (entry) entry->seen |= 1u << node;
}

void check_node_dies(struct sim_check *check, size_t node) {
  for (size_t c = 0; c < SIM_CHANNELS; c++) {
    struct sim_log *log = &check->logs[c];
    for (size_t i = log->count; i > 0 && log->count - i < 2000; i--) log->entries[i - 1].seen &= ~(1u << node);
  }
}

void check_begin(struct sim_check *check, struct sim_expectation *expectation, size_t channel, unsigned epoch,
                 uint64_t position) {
  const struct sim_log *log = &check->logs[channel];
  size_t next = log->count;
  while (next > 0) {
    const struct sim_entry *entry = &log->entries[next - 1];
    if (entry->epoch < epoch || (entry->epoch == epoch && entry->position <= position)) break;
    next--;
  }
  *expectation = (struct sim_expectation){.next = next};
}

/* It will not receive those up to `end`. */
static void pass_over(struct sim_check *check, struct sim_expectation *expectation, size_t channel, size_t end) {
  const struct sim_log *log = &check->logs[channel];
  for (; expectation->next < end; expectation->next++) {
    const struct sim_entry *entry = &log->entries[expectation->next];
    if (expectation->has_gap || (entry->is_lost && entry->seen == 0)) continue;
    if (!check->may_lose)
      fail_msg("seed %llu: a client missed message %zu of channel %zu (position %llu) without a gap",
               (unsigned long long)check->seed, entry->op, channel, (unsigned long long)entry->position);
    expectation->has_debt = true;
  }
}

void check_receive(struct sim_check *check, struct sim_expectation *expectation, size_t channel, size_t op, uint64_t position,
                   unsigned epoch) {
  struct sim_log *log = &check->logs[channel];
  size_t found = expectation->next;
  while (found < log->count &&
         (log->entries[found].op != op || log->entries[found].position != position || log->entries[found].epoch != epoch))
    found++;
  if (found == log->count)
    fail_msg("seed %llu: a client received message %zu of channel %zu twice, or out of order", (unsigned long long)check->seed,
             op, channel);
  if (expectation->has_gap && !expectation->is_excused && found == expectation->next) check->false_gaps++;
  pass_over(check, expectation, channel, found);
  expectation->next = found + 1;
  expectation->has_gap = false;
  check->delivered++;
}

void check_gap(struct sim_check *check, struct sim_expectation *expectation, bool is_excused) {
  if (!expectation->has_gap) expectation->is_excused = false;
  expectation->has_gap = true;
  expectation->has_debt = false;
  expectation->is_excused |= is_excused;
  check->gaps++;
}

void check_end(struct sim_check *check, struct sim_expectation *expectation, size_t channel) {
  pass_over(check, expectation, channel, check->logs[channel].count);
  if (expectation->has_debt)
    fail_msg("seed %llu: a client has missed messages of channel %zu, and received no gap", (unsigned long long)check->seed,
             channel);
}
