#include "load/ledger.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void faults_state(struct faults *faults, const char *format, ...) {
  if (faults->first[0]) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(faults->first, sizeof(faults->first), format, arguments);
  va_end(arguments);
}

uint64_t faults_total(const struct faults *faults) {
  return faults->lost + faults->doubled + faults->disordered + faults->altered + faults->closed + faults->refused +
         faults->stalled + faults->invalid;
}

/* Notes that the `count` messages from ledger->next on have not arrived. */
static void ledger_skip(struct ledger *ledger, uint32_t count, uint32_t subscriber, struct faults *faults) {
  faults_state(faults, "subscriber %" PRIu32 ": %" PRIu32 " messages missing from %" PRIu32 " on", subscriber, count,
               ledger->next);
  faults->lost += count;
  ledger->next += count;
  ledger->missing = count < 64 ? ledger->missing << count | ((UINT64_C(1) << count) - 1) : UINT64_MAX;
}

static bool take_late(struct ledger *ledger, uint32_t sequence, uint32_t subscriber, struct faults *faults) {
  uint32_t age = ledger->next - 1 - sequence;
  if (age < 64 && ledger->missing >> age & 1) {
    ledger->missing &= ~(UINT64_C(1) << age);
    faults_state(faults, "subscriber %" PRIu32 ": message %" PRIu32 " after a later one", subscriber, sequence);
    faults->lost--;
    faults->disordered++;
    return true;
  }
  faults_state(faults, "subscriber %" PRIu32 ": message %" PRIu32 " twice", subscriber, sequence);
  faults->doubled++;
  return false;
}

bool ledger_take(struct ledger *ledger, uint32_t sequence, uint32_t subscriber, struct faults *faults) {
  if (!ledger->has_begun) *ledger = (struct ledger){.has_begun = true, .next = sequence};
  if (sequence < ledger->next) return take_late(ledger, sequence, subscriber, faults);
  if (sequence > ledger->next) ledger_skip(ledger, sequence - ledger->next, subscriber, faults);
  ledger->next++;
  ledger->missing <<= 1;
  return true;
}

void ledger_end(struct ledger *ledger, uint32_t published, uint32_t subscriber, struct faults *faults) {
  if (ledger->next < published) ledger_skip(ledger, published - ledger->next, subscriber, faults);
}
