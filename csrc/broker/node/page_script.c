/* The script `page`: what is asked of it, and what its pages have. */
#include <assert.h>

#include "broker/node/arguments.h"
#include "broker/node/node.h"

/* For each channel two keys and four arguments. */
static_assert(1 + 2 * PAGE_CHANNELS_MAX + 4 + 4 * PAGE_CHANNELS_MAX <= ARGUMENTS_MAX, "a request has too many channels");

int page_run(struct broker *broker, const struct page_ask *asks, size_t count, struct link_command *command) {
  struct arguments arguments;
  arguments_init(&arguments);
  arguments_add_key(&arguments, broker, "h", bytes_of(NULL, 0));
  for (size_t i = 0; i < count; i++) {
    arguments_add_key(&arguments, broker, "s", asks[i].channel);
    arguments_add_key(&arguments, broker, "c", asks[i].channel);
  }
  arguments_end_keys(&arguments);
  arguments_add(&arguments, run_bytes(&broker->run));
  arguments_add(&arguments, bytes_of(broker->own, broker->own_len));
  arguments_add_u64(&arguments, broker->options.mark_ttl_s);
  arguments_add_u64(&arguments, PAGE_BYTES_MAX);
  for (size_t i = 0; i < count; i++) {
    arguments_add_u64(&arguments, asks[i].number);
    arguments_add(&arguments, asks[i].is_after ? BYTES("+") : BYTES("-"));
    arguments_add_u64(&arguments, asks[i].position);
    arguments_add_u64(&arguments, asks[i].size < PAGE_MESSAGES_MAX ? asks[i].size : PAGE_MESSAGES_MAX);
  }
  return arguments_run(&arguments, broker, SCRIPT_PAGE, command);
}

/* A floor stands for a message before it, which may still be kept. */
size_t page_read(struct push_page *page, struct broker_message messages[PAGE_MESSAGES_MAX], uint64_t expected) {
  struct push_message message;
  size_t count = 0;
  bool is_any = expected == 0;
  while (count < PAGE_MESSAGES_MAX && push_next_message(page, &message) > 0) {
    if (!is_any && message.position != expected) break;
    messages[PAGE_MESSAGES_MAX - ++count] =
        (struct broker_message){.record = message.record, .position = message.position, .before = message.before};
    expected = message.before;
    is_any = message.is_floor;
  }
  return count;
}
