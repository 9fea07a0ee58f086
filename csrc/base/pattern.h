/* Patterns of names: literal segments and captures, for channels ("room:{room}") and routes ("/orders/{id}"). The last segment of a
 * route may be a catch-all ("/files/{path...}"), which takes all that is left of the path, with its slashes, or nothing. */
#ifndef MOONWIRE_BASE_PATTERN_H
#define MOONWIRE_BASE_PATTERN_H

#include "base/bytes.h"
#include "base/status.h"

VISIBILITY_PUSH

enum { PATTERN_SEGMENTS_MAX = 16 };

struct pattern_segment {
  struct bytes text; /* the literal, or the capture's name */
  char before;       /* the divider in front of it; 0 for the first */
  bool is_capture;
  bool is_rest; /* a catch-all, which is a capture as well */
};

struct pattern {
  const char *dividers; /* a constant: ":/" or "/" */
  char *text;           /* owned; the segments point into it */
  struct pattern_segment segments[PATTERN_SEGMENTS_MAX];
  size_t segment_count;
};

/* Which of two patterns is to be preferred for a name that both match. */
enum pattern_order { PATTERN_DISJOINT, PATTERN_FIRST, PATTERN_SECOND, PATTERN_OVERLAP };

/* MW_EINVAL with an error text, MW_ENOMEM. */
int pattern_init(struct pattern *pattern, struct bytes text, const char *dividers, struct mw_error *error);
void pattern_deinit(struct pattern *pattern);
/* True if the name matches; values[i] (NULL allowed, else PATTERN_SEGMENTS_MAX places) is what the i-th capture took. */
bool pattern_match(const struct pattern *pattern, struct bytes name, struct bytes *values);
/* The name of the i-th capture; ptr NULL past the last. */
struct bytes pattern_capture(const struct pattern *pattern, size_t i);
/* A literal segment beats a capture, and both beat a catch-all; where that does not decide, the patterns overlap. */
enum pattern_order pattern_compare(const struct pattern *first, const struct pattern *second);

VISIBILITY_POP

#endif
