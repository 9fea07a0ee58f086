/* Whatever is published to a node, what is read from it lies within it, and its positions are in
 * order. */
#include "base/status.h"
#include "broker/push.h"
#include "fuzz/fuzz.h"

static void check_message(struct bytes input, const struct push_message *message) {
  must(message->position <= POSITION_MAX && message->before <= POSITION_MAX);
  must(message->position == 0 || message->before < message->position);
  must(message->record.len == 0 || (message->record.ptr >= input.ptr && message->record.len <= input.len &&
                                    message->record.ptr + message->record.len <= input.ptr + input.len));
}

static void check_page(struct bytes input) {
  struct push_page page;
  if (!push_read_page(input, &page)) return;
  must(page.last <= page.position && page.gone <= page.position && page.position <= POSITION_MAX);
  struct push_message message;
  size_t left = page.messages.len;
  int status;
  while ((status = push_next_message(&page, &message)) > 0) {
    check_message(input, &message);
    must(message.position > 0 && message.position <= page.position);
    must(page.messages.len < left);
    left = page.messages.len;
  }
  must(status == MW_EFORGED || left == 0);
}

static void check_changes(struct bytes input, struct bytes rest) {
  struct broker_change change;
  while (rest.len > 0) {
    must(broker_next_change(&rest, &change));
    must(change.user.ptr >= input.ptr && change.info.ptr + change.info.len <= input.ptr + input.len);
    must(!change.left || change.info.len == 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes input = fuzz_bytes(data, size);
  struct push_message message;
  struct epoch epoch;
  uint64_t number, position;
  if (push_read_message(input, &epoch, &message)) check_message(input, &message);
  if (push_read_bell(input, &number, &epoch, &position)) must(position <= POSITION_MAX);
  check_page(input);
  struct push_presence presence;
  struct push_members members;
  if (push_read_presence(input, &presence)) check_changes(input, presence.changes);
  if (push_read_members(input, &members)) check_changes(input, members.changes);
  return 0;
}
