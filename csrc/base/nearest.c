#include "base/nearest.h"

enum { WORD_MAX = 40 };

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* How many letters must be changed, put in, left out or swapped to make one word of the other; row
 * by row. */
static size_t distance(struct bytes a, struct bytes b) {
  size_t rows[3][WORD_MAX + 1] = {{0}};
  for (size_t j = 0; j <= b.len; j++) rows[0][j] = j;
  for (size_t i = 1; i <= a.len; i++) {
    size_t *row = rows[i % 3];
    const size_t *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= b.len; j++) {
      char x = lower(a.ptr[i - 1]), y = lower(b.ptr[j - 1]);
      row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (x != y));
      bool swapped = i > 1 && j > 1 && x == lower(b.ptr[j - 2]) && lower(a.ptr[i - 2]) == y;
      if (swapped) row[j] = least(row[j], before[j - 2] + 1);
    }
  }
  return rows[a.len % 3][b.len];
}

const char *nearest_word(struct bytes word, const char *const *words, size_t count) {
  const char *best = NULL;
  size_t best_distance = 0;
  if (word.len > WORD_MAX) return NULL;
  for (size_t i = 0; i < count; i++) {
    struct bytes candidate = bytes_string(words[i]);
    size_t away = distance(word, candidate), most = least(2, candidate.len / 2);
    if (most == 0) most = 1;
    if (away > most || (best && away >= best_distance)) continue;
    best = words[i];
    best_distance = away;
  }
  return best;
}
