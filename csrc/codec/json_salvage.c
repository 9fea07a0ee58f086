#include "codec/json_salvage.h"

enum { LEVELS_MAX = 1024, WORD_BITS = 64 };

/* Walks over tokens without checking the contents of strings, numbers, and words. `is_object` has a
 * bit for each open bracket. Brackets that do not match end the walk, because the text after them
 * may belong to another level. */
struct walk {
  struct bytes text;
  size_t at;
  size_t level;
  uint64_t is_object[LEVELS_MAX / WORD_BITS];
};

static void skip_spaces(struct walk *walk) {
  while (walk->at < walk->text.len && json_is_space(walk->text.ptr[walk->at])) walk->at++;
}

static bool next_is(const struct walk *walk, char c) { return walk->at < walk->text.len && walk->text.ptr[walk->at] == c; }

/* ---- Brackets -------------------------------------------------------------------------------- */

static bool in_object(const struct walk *walk) {
  size_t i = walk->level - 1;
  return walk->is_object[i / WORD_BITS] >> (i % WORD_BITS) & 1;
}

static bool open_level(struct walk *walk, bool is_object) {
  size_t i = walk->level;
  if (i == LEVELS_MAX) return false;
  uint64_t bit = UINT64_C(1) << (i % WORD_BITS);
  walk->is_object[i / WORD_BITS] &= ~bit;
  if (is_object) walk->is_object[i / WORD_BITS] |= bit;
  walk->level++;
  walk->at++;
  return true;
}

/* Returns false if the bracket does not match, or if the outermost object ends. */
static bool close_level(struct walk *walk, bool is_object) {
  if (in_object(walk) != is_object || walk->level == 1) return false;
  walk->level--;
  walk->at++;
  return true;
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

/* Returns the string at `at`, with its quotes, or nothing if it does not end. */
static struct bytes take_string(struct walk *walk) {
  size_t start = walk->at;
  walk->at++;
  while (walk->at < walk->text.len && walk->text.ptr[walk->at] != '"') walk->at += walk->text.ptr[walk->at] == '\\' ? 2 : 1;
  if (walk->at >= walk->text.len) {
    walk->at = walk->text.len;
    return bytes_of(NULL, 0);
  }
  walk->at++;
  return bytes_of(walk->text.ptr + start, walk->at - start);
}

/* Returns a number, a word, or any other text up to the next token. */
static struct bytes take_word(struct walk *walk) {
  size_t start = walk->at;
  while (walk->at < walk->text.len && !json_is_space(walk->text.ptr[walk->at]) &&
         !memchr(",:{}[]\"", walk->text.ptr[walk->at], 7))
    walk->at++;
  return bytes_of(walk->text.ptr + start, walk->at - start);
}

static struct bytes take_scalar(struct walk *walk) { return next_is(walk, '"') ? take_string(walk) : take_word(walk); }

static bool is_name(struct bytes token, struct bytes name) {
  struct json_value value;
  return json_scan(token, &value, NULL) && value.type == JSON_STRING && json_string_equal(value, name);
}

/* Takes the next token. At the outermost level, a string before a colon is the name of a member,
 * whose value is kept if the name matches. Returns false when the walk has ended. */
static bool take_step(struct walk *walk, struct bytes name, struct json_value *found) {
  skip_spaces(walk);
  if (walk->at == walk->text.len) return false;
  char c = walk->text.ptr[walk->at];
  if (c == '{' || c == '[') return open_level(walk, c == '{');
  if (c == '}' || c == ']') return close_level(walk, c == '}');
  if (c == ',' || c == ':') {
    walk->at++;
    return true;
  }
  bool may_be_name = c == '"' && walk->level == 1;
  struct bytes token = take_scalar(walk);
  skip_spaces(walk);
  if (!may_be_name || !next_is(walk, ':') || !is_name(token, name)) return true;
  walk->at++;
  skip_spaces(walk);
  struct json_value value = {JSON_NONE, {NULL, 0}};
  bool is_scalar = !next_is(walk, '{') && !next_is(walk, '[') && json_scan(take_scalar(walk), &value, NULL);
  *found = is_scalar ? value : (struct json_value){JSON_NONE, {NULL, 0}};
  return true;
}

bool json_salvage(struct bytes text, struct bytes name, struct json_value *value) {
  struct walk walk = {.text = text};
  *value = (struct json_value){JSON_NONE, {NULL, 0}};
  skip_spaces(&walk);
  if (!next_is(&walk, '{')) return false;
  open_level(&walk, true);
  while (take_step(&walk, name, value)) continue;
  return value->type == JSON_STRING || value->type == JSON_NUMBER;
}
