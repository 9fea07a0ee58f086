/* Patterns for names: literal segments and captures, for channels ("room:{room}") and routes
 * ("/orders/{id}"). The last segment of a route may be a catch-all ("/files/{path...}"). It takes
 * the rest of the path, slashes included, and may be empty. */
#ifndef MOONWIRE_BASE_PATTERN_H
#define MOONWIRE_BASE_PATTERN_H

#include "base/bytes.h"
#include "base/status.h"

VISIBILITY_PUSH

enum { PATTERN_SEGMENTS_MAX = 16 };

struct pattern_segment {
  struct bytes text; /* the literal, or the name of the capture */
  char before;       /* the divider before the segment; 0 for the first */
  bool is_capture;
  bool is_rest; /* a catch-all, which is also a capture */
};

struct pattern {
  const char *dividers; /* a constant: ":/" or "/" */
  char *text;           /* owned; the segments point into it */
  struct pattern_segment segments[PATTERN_SEGMENTS_MAX];
  size_t segment_count;
};

/* Which of two patterns is preferred for a name that both match. */
enum pattern_order { PATTERN_DISJOINT, PATTERN_FIRST, PATTERN_SECOND, PATTERN_OVERLAP };

/* Parses `text` and copies it. Returns MW_EINVAL, with the reason in `error`, or MW_ENOMEM. */
int pattern_init(struct pattern *pattern, struct bytes text, const char *dividers, struct mw_error *error);
void pattern_deinit(struct pattern *pattern);
/* Returns true if the name matches. values[i] receives the text of the i-th capture, which points
 * into `name`; `values` has PATTERN_SEGMENTS_MAX places or is NULL. */
bool pattern_match(const struct pattern *pattern, struct bytes name, struct bytes *values);
/* Returns the name of the i-th capture; ptr is NULL after the last. */
struct bytes pattern_capture(const struct pattern *pattern, size_t i);
/* Compares two patterns: a literal is preferred to a capture, and both to a catch-all. Patterns
 * that this does not decide overlap. */
enum pattern_order pattern_compare(const struct pattern *first, const struct pattern *second);

VISIBILITY_POP

#endif
