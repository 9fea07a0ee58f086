#include "broker/node/arguments.h"

#include "broker/node/node.h"

void arguments_init(struct arguments *arguments) {
  buffer_init(&arguments->texts);
  arguments->count = arguments->key_count = 0;
}

void arguments_end_one(struct arguments *arguments) {
  if (arguments->count == ARGUMENTS_MAX) {
    arguments->texts.failed = true;
  } else {
    arguments->ends[arguments->count++] = arguments->texts.len;
  }
}

void arguments_add_key(struct arguments *arguments, const struct broker *broker, const char *kind, struct bytes name) {
  node_key(broker, &arguments->texts, kind, name);
  arguments_end_one(arguments);
}

void arguments_end_keys(struct arguments *arguments) { arguments->key_count = arguments->count; }

void arguments_add(struct arguments *arguments, struct bytes text) {
  buffer_append(&arguments->texts, text);
  arguments_end_one(arguments);
}

void arguments_add_u64(struct arguments *arguments, uint64_t value) {
  buffer_append_u64(&arguments->texts, value);
  arguments_end_one(arguments);
}

static int read_texts(const struct arguments *arguments, struct bytes *texts) {
  size_t begin = 0;
  if (arguments->texts.failed) return MW_ENOMEM;
  for (size_t i = 0; i < arguments->count; begin = arguments->ends[i++])
    texts[i] = bytes_of(arguments->texts.data + begin, arguments->ends[i] - begin);
  return 0;
}

int arguments_run(struct arguments *arguments, struct broker *broker, enum broker_script script, struct link_command *command) {
  struct bytes texts[ARGUMENTS_MAX];
  int status = read_texts(arguments, texts);
  if (status == 0)
    status = broker->link->class->run(broker->link, script, arguments->key_count, texts, arguments->count, command);
  buffer_deinit(&arguments->texts);
  return status;
}

int arguments_send(struct arguments *arguments, struct broker *broker, struct link_command *command) {
  struct bytes texts[ARGUMENTS_MAX];
  int status = read_texts(arguments, texts);
  if (status == 0) status = broker->link->class->send(broker->link, texts, arguments->count, command);
  buffer_deinit(&arguments->texts);
  return status;
}
