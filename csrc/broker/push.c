#include "broker/push.h"

#include "base/status.h"

static bool take_u64(struct bytes *rest, char c, uint64_t *value) {
  struct bytes text;
  return bytes_take_until(rest, c, &text) && bytes_to_u64(text, value);
}

static bool take_position(struct bytes *rest, char c, uint64_t *position) {
  return take_u64(rest, c, position) && *position <= POSITION_MAX;
}

static bool take_epoch(struct bytes *rest, struct epoch *epoch) {
  struct bytes text;
  return bytes_take_until(rest, ' ', &text) && epoch_read(epoch, text);
}

static bool take_before(struct bytes *rest, char c, struct push_message *message) {
  message->is_floor = rest->len > 0 && rest->ptr[0] == '~';
  if (message->is_floor) *rest = bytes_of(rest->ptr + 1, rest->len - 1);
  return take_position(rest, c, &message->before);
}

/* A message comes after the one before it. */
static bool is_in_order(const struct push_message *message) {
  return message->position == 0 || message->before < message->position;
}

bool push_read_message(struct bytes payload, struct epoch *epoch, struct push_message *message) {
  struct bytes rest = payload;
  if (!take_epoch(&rest, epoch) || !take_position(&rest, ' ', &message->position)) return false;
  if (!take_before(&rest, '\n', message)) return false;
  message->record = rest;
  return is_in_order(message);
}

bool push_read_page(struct bytes payload, struct push_page *page) {
  struct bytes rest = payload, word;
  uint64_t more;
  if (!bytes_take_until(&rest, ' ', &word) || !bytes_equal(word, BYTES("page"))) return false;
  if (!take_u64(&rest, ' ', &page->number) || !take_epoch(&rest, &page->epoch)) return false;
  if (!take_position(&rest, ' ', &page->position) || !take_position(&rest, ' ', &page->last)) return false;
  if (!take_position(&rest, ' ', &page->gone) || !take_position(&rest, ' ', &page->ended)) return false;
  if (!take_u64(&rest, '\n', &more) || more > 1) return false;
  page->has_more = more == 1;
  page->messages = rest;
  return page->last <= page->position && page->gone <= page->position;
}

bool push_read_bell(struct bytes payload, uint64_t *number, struct epoch *epoch, uint64_t *position) {
  struct bytes rest = payload, word;
  if (!bytes_take_until(&rest, ' ', &word) || !bytes_equal(word, BYTES("bell"))) return false;
  if (!take_u64(&rest, ' ', number)) return false;
  return take_epoch(&rest, epoch) && bytes_to_u64(rest, position) && *position <= POSITION_MAX;
}

int push_next_message(struct push_page *page, struct push_message *message) {
  struct bytes rest = page->messages;
  uint64_t len;
  if (rest.len == 0) return 0;
  if (!take_position(&rest, ' ', &message->position) || !take_before(&rest, ' ', message)) return MW_EFORGED;
  if (!take_u64(&rest, '\n', &len) || len > rest.len) return MW_EFORGED;
  if (message->position == 0 || message->position > page->position || !is_in_order(message)) return MW_EFORGED;
  message->record = bytes_of(rest.ptr, (size_t)len);
  page->messages = bytes_of(rest.ptr + len, rest.len - (size_t)len);
  return 1;
}

/* ---- Members ---------------------------------------------------------------------------------- */

/* Takes "+ <length> <length>\n<user><info>" or "- <length>\n<user>". */
static bool take_change(struct bytes *rest, struct broker_change *change) {
  uint64_t user_len, info_len = 0;
  if (rest->len < 2 || (rest->ptr[0] != '+' && rest->ptr[0] != '-') || rest->ptr[1] != ' ') return false;
  bool left = rest->ptr[0] == '-';
  *rest = bytes_of(rest->ptr + 2, rest->len - 2);
  if (!take_u64(rest, left ? '\n' : ' ', &user_len) || (!left && !take_u64(rest, '\n', &info_len))) return false;
  if (user_len > rest->len || info_len > rest->len - user_len) return false;
  change->left = left;
  change->user = bytes_of(rest->ptr, (size_t)user_len);
  change->info = bytes_of(rest->ptr + user_len, (size_t)info_len);
  *rest = bytes_of(rest->ptr + user_len + info_len, rest->len - (size_t)(user_len + info_len));
  return true;
}

bool broker_next_change(struct bytes *changes, struct broker_change *change) { return take_change(changes, change); }

static bool are_changes(struct bytes rest, uint64_t *count) {
  struct broker_change change;
  for (*count = 0; rest.len > 0; ++*count)
    if (!take_change(&rest, &change)) return false;
  return true;
}

bool push_is_presence(struct bytes payload) { return bytes_starts_with(payload, BYTES("presence ")); }

bool push_read_presence(struct bytes payload, struct push_presence *presence) {
  struct bytes rest = payload, word;
  uint64_t changes;
  if (!bytes_take_until(&rest, ' ', &word) || !bytes_equal(word, BYTES("presence")) || !take_epoch(&rest, &presence->epoch))
    return false;
  if (!take_position(&rest, ' ', &presence->number) || !take_position(&rest, ' ', &presence->before)) return false;
  if (!take_u64(&rest, '\n', &presence->count)) return false;
  presence->changes = rest;
  return presence->before < presence->number && are_changes(rest, &changes);
}

bool push_read_members(struct bytes payload, struct push_members *members) {
  struct bytes rest = payload, word;
  uint64_t is_listed, changes;
  if (!bytes_take_until(&rest, ' ', &word) || !bytes_equal(word, BYTES("members")) || !take_u64(&rest, ' ', &members->request))
    return false;
  if (!take_epoch(&rest, &members->epoch) || !take_position(&rest, ' ', &members->number)) return false;
  if (!take_u64(&rest, ' ', &members->count) || !take_u64(&rest, '\n', &is_listed) || is_listed > 1) return false;
  members->is_listed = is_listed == 1;
  members->changes = rest;
  return are_changes(rest, &changes) && changes == (members->is_listed ? members->count : 0);
}
