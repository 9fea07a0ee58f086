/* The script `page`: what is asked of it, and what its pages have. */
#include "broker/node/node.h"

static void append_u64(struct buffer *texts, size_t *ends, size_t *count, uint64_t value) {
  buffer_append_u64(texts, value);
  ends[(*count)++] = texts->len;
}

enum { PAGE_ARGUMENTS_MAX = 1 + 2 * PAGE_CHANNELS_MAX + 4 + 4 * PAGE_CHANNELS_MAX };

int page_run(struct broker *broker, const struct page_ask *asks, size_t ask_count, struct link_command *command) {
  struct bytes arguments[PAGE_ARGUMENTS_MAX];
  size_t ends[PAGE_ARGUMENTS_MAX], count = 0, begin = 0;
  struct buffer texts;
  buffer_init(&texts);
  node_key(broker, &texts, "h", bytes_of(NULL, 0));
  ends[count++] = texts.len;
  for (size_t i = 0; i < ask_count; i++) {
    node_key(broker, &texts, "s", asks[i].channel);
    ends[count++] = texts.len;
    node_key(broker, &texts, "c", asks[i].channel);
    ends[count++] = texts.len;
  }
  size_t key_count = count;
  buffer_append(&texts, run_bytes(&broker->run));
  ends[count++] = texts.len;
  buffer_append(&texts, bytes_of(broker->own, broker->own_len));
  ends[count++] = texts.len;
  append_u64(&texts, ends, &count, broker->options.mark_ttl_s);
  append_u64(&texts, ends, &count, PAGE_BYTES_MAX);
  for (size_t i = 0; i < ask_count; i++) {
    append_u64(&texts, ends, &count, asks[i].number);
    buffer_append_char(&texts, asks[i].is_after ? '+' : '-');
    ends[count++] = texts.len;
    append_u64(&texts, ends, &count, asks[i].position);
    append_u64(&texts, ends, &count, asks[i].size < PAGE_MESSAGES_MAX ? asks[i].size : PAGE_MESSAGES_MAX);
  }
  int status = texts.failed ? MW_ENOMEM : 0;
  for (size_t i = 0; status == 0 && i < count; begin = ends[i++]) arguments[i] = bytes_of(texts.data + begin, ends[i] - begin);
  if (status == 0) status = broker->link->class->run(broker->link, SCRIPT_PAGE, key_count, arguments, count, command);
  buffer_deinit(&texts);
  return status;
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
