#include "broker/resp.h"

#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/status.h"

/* hiredis 1.0 counts in size_t, and knows RESP3. */
#if HIREDIS_MAJOR >= 1
typedef size_t resp_count;
#else
typedef int resp_count;
#endif

/* ---- Values ---------------------------------------------------------------------------------- */

void resp_value_free(struct resp_value *value) {
  if (!value) return;
  for (size_t i = 0; i < value->count; i++) resp_value_free(value->items[i]);
  memory_free(value);
}

const struct resp_value *resp_item(const struct resp_value *value, size_t index) {
  return value && value->type == RESP_ARRAY && index < value->count ? value->items[index] : NULL;
}

struct bytes resp_text(const struct resp_value *value) {
  return value && (value->type == RESP_STRING || value->type == RESP_STATUS) ? value->text : (struct bytes){NULL, 0};
}

bool resp_u64(const struct resp_value *value, uint64_t *out) {
  if (!value) return false;
  if (value->type == RESP_STRING) return bytes_to_u64(value->text, out);
  if (value->type != RESP_INTEGER || value->integer < 0) return false;
  *out = (uint64_t)value->integer;
  return true;
}

/* ---- What hiredis calls ---------------------------------------------------------------------- */

/* Puts the value into its array. hiredis frees the reply, this value too, if a later one fails. */
static struct resp_value *resp_place(const redisReadTask *task, struct resp_value *value) {
  if (value && task->parent) ((struct resp_value *)task->parent->obj)->items[task->idx] = value;
  return value;
}

static struct resp_value *resp_alloc(const redisReadTask *task, enum resp_type type, size_t more) {
  struct resp_reader *reader = task->privdata;
  struct resp_value *value = memory_calloc(1, sizeof *value + more);
  if (value)
    value->type = type;
  else
    reader->status = MW_ENOMEM;
  return value;
}

/* False: the reply has too many values. */
static bool resp_count_elements(const redisReadTask *task, size_t count) {
  struct resp_reader *reader = task->privdata;
  if (count <= RESP_ELEMENTS_MAX - reader->elements) {
    reader->elements += count;
    return true;
  }
  reader->status = MW_ETOOLARGE;
  snprintf(reader->problem, sizeof reader->problem, "a reply has more than %d values", RESP_ELEMENTS_MAX);
  return false;
}

static void *resp_on_string(const redisReadTask *task, char *text, size_t len) {
  enum resp_type type = task->type == REDIS_REPLY_ERROR    ? RESP_ERROR
                        : task->type == REDIS_REPLY_STATUS ? RESP_STATUS
                                                           : RESP_STRING;
  struct resp_value *value = resp_alloc(task, type, len + 1);
  if (!value) return NULL;
  char *copy = (char *)value->items;
  if (len > 0) memcpy(copy, text, len);
  value->text = bytes_of(copy, len);
  return resp_place(task, value);
}

static void *resp_on_array(const redisReadTask *task, resp_count count) {
  if (!resp_count_elements(task, (size_t)count)) return NULL;
  struct resp_value *value = resp_alloc(task, RESP_ARRAY, (size_t)count * sizeof(struct resp_value *));
  if (value) value->count = (size_t)count;
  return resp_place(task, value);
}

static void *resp_on_integer(const redisReadTask *task, long long integer) {
  struct resp_value *value = resp_alloc(task, RESP_INTEGER, 0);
  if (value) value->integer = integer;
  return resp_place(task, value);
}

static void *resp_on_nil(const redisReadTask *task) { return resp_place(task, resp_alloc(task, RESP_NIL, 0)); }

static void resp_on_free(void *value) { resp_value_free(value); }

#if HIREDIS_MAJOR >= 1
static void *resp_on_double(const redisReadTask *task, double number, char *text, size_t len) {
  (void)number;
  return resp_on_string(task, text, len);
}

static void *resp_on_bool(const redisReadTask *task, int is_true) { return resp_on_integer(task, is_true); }
#endif

static redisReplyObjectFunctions functions = {
    .createString = resp_on_string,
    .createArray = resp_on_array,
    .createInteger = resp_on_integer,
#if HIREDIS_MAJOR >= 1
    .createDouble = resp_on_double,
    .createBool = resp_on_bool,
#endif
    .createNil = resp_on_nil,
    .freeObject = resp_on_free,
};

/* ---- Reading --------------------------------------------------------------------------------- */

void resp_reader_init(struct resp_reader *reader) { *reader = (struct resp_reader){0}; }

void resp_reader_deinit(struct resp_reader *reader) {
  if (reader->hiredis) redisReaderFree(reader->hiredis);
  resp_reader_init(reader);
}

static int resp_fail(struct resp_reader *reader, int status, const char *problem) {
  reader->status = status;
  if (reader->problem[0] == '\0') snprintf(reader->problem, sizeof reader->problem, "%s", problem);
  return status;
}

int resp_feed(struct resp_reader *reader, struct bytes sent) {
  if (reader->status < 0) return reader->status;
  if (sent.len == 0) return 0;
  if (!reader->hiredis) reader->hiredis = redisReaderCreateWithFunctions(&functions);
  redisReader *hiredis = reader->hiredis;
  if (!hiredis) return resp_fail(reader, MW_ENOMEM, "out of memory");
  hiredis->privdata = reader;
  return redisReaderFeed(hiredis, sent.ptr, sent.len) == REDIS_OK ? 0 : resp_fail(reader, MW_ENOMEM, "out of memory");
}

int resp_next(struct resp_reader *reader, struct resp_value **out) {
  *out = NULL;
  if (reader->status < 0) return reader->status;
  redisReader *hiredis = reader->hiredis;
  if (!hiredis) return MW_PENDING;
  void *reply = NULL;
  hiredis->privdata = reader;
  if (redisReaderGetReply(hiredis, &reply) != REDIS_OK) {
    if (reader->status == MW_ETOOLARGE) return MW_ETOOLARGE;
    if (reader->status == MW_ENOMEM) return resp_fail(reader, MW_ENOMEM, "out of memory");
    return resp_fail(reader, MW_EFORGED, hiredis->errstr);
  }
  if (reply) {
    reader->elements = 0;
    *out = reply;
    return 0;
  }
  if (hiredis->len - hiredis->pos <= RESP_REPLY_MAX) return MW_PENDING;
  snprintf(reader->problem, sizeof reader->problem, "a reply has more than %d bytes", RESP_REPLY_MAX);
  return resp_fail(reader, MW_ETOOLARGE, "");
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int resp_format(struct buffer *out, const struct bytes *arguments, size_t count, const char **texts, size_t *lengths) {
  for (size_t i = 0; i < count; i++) {
    texts[i] = arguments[i].len > 0 ? arguments[i].ptr : "";
    lengths[i] = arguments[i].len;
  }
  char *command = NULL;
  int len = redisFormatCommandArgv(&command, (int)count, texts, lengths);
  char *room = len > 0 ? buffer_reserve(out, (size_t)len) : NULL;
  if (room) {
    memcpy(room, command, (size_t)len);
    out->len += (size_t)len;
  }
  if (len > 0) redisFreeCommand(command);
  return room ? 0 : MW_ENOMEM;
}

int resp_write(struct buffer *out, const struct bytes *arguments, size_t count) {
  enum { ON_STACK = 64 };
  const char *texts[ON_STACK];
  size_t lengths[ON_STACK];
  if (count == 0 || count > RESP_ARGUMENTS_MAX) return MW_ETOOLARGE;
  if (count <= ON_STACK) return resp_format(out, arguments, count, texts, lengths);
  const char **more_texts = memory_calloc(count, sizeof *more_texts);
  size_t *more_lengths = memory_calloc(count, sizeof *more_lengths);
  int status = more_texts && more_lengths ? resp_format(out, arguments, count, more_texts, more_lengths) : MW_ENOMEM;
  memory_free(more_texts);
  memory_free(more_lengths);
  return status;
}
