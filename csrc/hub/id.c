#include "hub/id.h"

#include "base/random.h"

static const char alphabet[] = "0123456789abcdefghijklmnopqrstuv";

void epoch_init(struct epoch *epoch) {
  unsigned char random[EPOCH_LEN];
  random_fill(random, sizeof random);
  for (size_t i = 0; i < EPOCH_LEN; i++) epoch->text[i] = alphabet[random[i] & 31];
}

bool epoch_read(struct epoch *epoch, struct bytes text) {
  if (text.len != EPOCH_LEN) return false;
  for (size_t i = 0; i < EPOCH_LEN; i++) {
    if (!memchr(alphabet, text.ptr[i], sizeof alphabet - 1)) return false;
  }
  memcpy(epoch->text, text.ptr, EPOCH_LEN);
  return true;
}

uint64_t position_next(uint64_t last, uint64_t wall_ms) {
  uint64_t now = wall_ms <= position_time_ms(POSITION_MAX) ? wall_ms << 11 : 0;
  return now > last ? now : last + 1;
}

void id_write_position(char *out, uint64_t position) {
  for (size_t i = POSITION_DIGITS; i > 0; i--, position /= 10) out[i - 1] = (char)('0' + position % 10);
}

void id_write(char *out, const struct epoch *epoch, uint64_t position) {
  memcpy(out, epoch->text, EPOCH_LEN);
  out[EPOCH_LEN] = '-';
  id_write_position(out + EPOCH_LEN + 1, position);
}

struct since since_parse(struct bytes text, const struct epoch *epoch) {
  struct since since = {.kind = SINCE_FOREIGN};
  if (text.len == 0) return (struct since){.kind = SINCE_NONE};
  if (bytes_equal(text, BYTES("0"))) return (struct since){.kind = SINCE_ALL};
  struct epoch own;
  if (text.len != ID_LEN || text.ptr[EPOCH_LEN] != '-' || !epoch_read(&own, bytes_of(text.ptr, EPOCH_LEN))) return since;
  if (!bytes_to_u64(bytes_of(text.ptr + EPOCH_LEN + 1, POSITION_DIGITS), &since.position)) return since;
  since.epoch = own;
  if (memcmp(&own, epoch, sizeof own) == 0) since.kind = SINCE_POSITION;
  return since;
}

struct since since_at(const struct epoch *epoch, uint64_t position) {
  return (struct since){.kind = SINCE_POSITION, .epoch = *epoch, .position = position};
}

void since_judge(struct since *since, const struct epoch *epoch, uint64_t newest) {
  if (since->kind != SINCE_POSITION && (since->kind != SINCE_FOREIGN || since->epoch.text[0] == '\0')) return;
  bool is_own = memcmp(since->epoch.text, epoch->text, EPOCH_LEN) == 0 && since->position <= newest;
  since->kind = is_own ? SINCE_POSITION : SINCE_FOREIGN;
}
