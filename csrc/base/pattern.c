#include "base/pattern.h"

#include "base/error.h"
#include "base/memory.h"

/* A long pattern is truncated, so that there is room for the reason. */
static int pattern_fail(struct mw_error *error, int status, struct bytes pattern, const char *what) {
  int shown = pattern.len < 100 ? (int)pattern.len : 100;
  return error_set(error, status, "pattern \"%.*s\": %s", shown, pattern.ptr, what);
}

/* Returns the length of the first segment of `text`. */
static size_t segment_length(struct bytes text, const char *dividers) {
  size_t len = 0;
  while (len < text.len && !strchr(dividers, text.ptr[len])) len++;
  return len;
}

static bool is_identifier(struct bytes text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
  }
  return text.len > 0;
}

static bool is_rest(struct bytes capture) {
  return capture.len > 3 && bytes_equal(bytes_of(capture.ptr + capture.len - 3, 3), BYTES("..."));
}

static const char *read_segment(struct pattern *pattern, struct bytes text) {
  struct pattern_segment *segment = &pattern->segments[pattern->segment_count];
  if (text.len == 0 || (text.ptr[0] != '{' && bytes_find(text, '{') == text.len && bytes_find(text, '}') == text.len)) {
    segment->text = text;
    segment->is_capture = segment->is_rest = false;
    return NULL;
  }
  if (text.ptr[0] != '{' || text.ptr[text.len - 1] != '}') return "a capture must be a whole segment, as in \"room:{room}\"";
  struct bytes name = bytes_of(text.ptr + 1, text.len - 2);
  segment->is_rest = is_rest(name);
  if (segment->is_rest) name.len -= 3;
  if (segment->is_rest && strcmp(pattern->dividers, "/") != 0) return "only a route can end in a catch-all such as {path...}";
  if (!is_identifier(name)) return "the name of a capture must be letters, digits, and underscores";
  for (size_t i = 0; i < pattern->segment_count; i++) {
    if (pattern->segments[i].is_capture && bytes_equal(pattern->segments[i].text, name)) return "two captures have the same name";
  }
  segment->text = name;
  segment->is_capture = true;
  return NULL;
}

int pattern_init(struct pattern *pattern, struct bytes text, const char *dividers, struct mw_error *error) {
  *pattern = (struct pattern){.dividers = dividers};
  if (text.len == 0) return pattern_fail(error, MW_EINVAL, text, "is empty");
  if (text.len > 255) return pattern_fail(error, MW_EINVAL, text, "is longer than 255 bytes");
  pattern->text = memory_copy(text.ptr, text.len);
  if (!pattern->text) return pattern_fail(error, MW_ENOMEM, text, "out of memory");
  struct bytes rest = bytes_of(pattern->text, text.len);
  for (char before = 0;;) {
    const char *fault = "has more than 16 segments";
    size_t len = segment_length(rest, dividers);
    if (pattern->segment_count < PATTERN_SEGMENTS_MAX) fault = read_segment(pattern, bytes_of(rest.ptr, len));
    if (fault) {
      pattern_deinit(pattern);
      return pattern_fail(error, MW_EINVAL, text, fault);
    }
    bool is_last = len == rest.len;
    if (!is_last && pattern->segments[pattern->segment_count].is_rest) {
      pattern_deinit(pattern);
      return pattern_fail(error, MW_EINVAL, text, "a catch-all such as {path...} must be the last segment");
    }
    pattern->segments[pattern->segment_count++].before = before;
    if (is_last) return 0;
    before = rest.ptr[len];
    rest = bytes_of(rest.ptr + len + 1, rest.len - len - 1);
  }
}

void pattern_deinit(struct pattern *pattern) {
  memory_free(pattern->text);
  pattern->text = NULL;
}

bool pattern_match(const struct pattern *pattern, struct bytes name, struct bytes *values) {
  char before = 0;
  for (size_t i = 0, captures = 0; i < pattern->segment_count; i++) {
    const struct pattern_segment *segment = &pattern->segments[i];
    size_t len = segment_length(name, pattern->dividers);
    struct bytes part = bytes_of(name.ptr, len);
    if (segment->before != before) return false;
    if (segment->is_rest) {
      if (values) values[captures] = name;
      return true;
    }
    if (segment->is_capture ? len == 0 : !bytes_equal(part, segment->text)) return false;
    if (segment->is_capture && values) values[captures++] = part;
    if (len == name.len) return i + 1 == pattern->segment_count;
    before = name.ptr[len];
    name = bytes_of(name.ptr + len + 1, name.len - len - 1);
  }
  return false;
}

struct bytes pattern_capture(const struct pattern *pattern, size_t i) {
  for (size_t s = 0; s < pattern->segment_count; s++) {
    if (pattern->segments[s].is_capture && i-- == 0) return pattern->segments[s].text;
  }
  return bytes_of(NULL, 0);
}

/* Returns the number of segments that are not a catch-all. */
static size_t fixed_count(const struct pattern *pattern) {
  return pattern->segment_count - pattern->segments[pattern->segment_count - 1].is_rest;
}

enum pattern_order pattern_compare(const struct pattern *first, const struct pattern *second) {
  size_t first_fixed = fixed_count(first), second_fixed = fixed_count(second);
  bool first_rests = first_fixed < first->segment_count, second_rests = second_fixed < second->segment_count;
  /* A catch-all matches at least one segment, which may be empty. */
  if (!first_rests && first_fixed < second->segment_count && (!second_rests || first_fixed <= second_fixed))
    return PATTERN_DISJOINT;
  if (!second_rests && second_fixed < first->segment_count && (!first_rests || second_fixed <= first_fixed))
    return PATTERN_DISJOINT;
  bool first_wins = first_fixed > second_fixed || (first_fixed == second_fixed && second_rests && !first_rests);
  bool second_wins = second_fixed > first_fixed || (first_fixed == second_fixed && first_rests && !second_rests);
  for (size_t i = 0; i < first_fixed && i < second_fixed; i++) {
    const struct pattern_segment *a = &first->segments[i], *b = &second->segments[i];
    if (a->before != b->before) return PATTERN_DISJOINT;
    if (a->is_capture && b->is_capture) continue;
    /* A capture is never empty, so it does not match an empty literal. */
    if (a->is_capture || b->is_capture) {
      if ((a->is_capture ? b : a)->text.len == 0) return PATTERN_DISJOINT;
      *(a->is_capture ? &second_wins : &first_wins) = true;
    } else if (!bytes_equal(a->text, b->text)) {
      return PATTERN_DISJOINT;
    }
  }
  if (first_wins == second_wins) return PATTERN_OVERLAP;
  return first_wins ? PATTERN_FIRST : PATTERN_SECOND;
}
