/* Reads cases that are written as text: paragraphs of lines, the first of which says what the case is about. A line
 * "each NAME VALUE…" makes as many cases of a paragraph as there are values, which stand for $NAME. "#" begins a comment. */
#ifndef MOONWIRE_TEST_SUPPORT_CASE_TEXT_H
#define MOONWIRE_TEST_SUPPORT_CASE_TEXT_H

#include "base/buffer.h"

typedef void case_run(struct bytes text, void *context);

/* Runs every case of the file and returns how many there were. With `unquote`, a value in quotes stands for what is between
 * them; else it keeps its quotes. Fails the test if there is no such file. */
size_t case_text_run(const char *path, bool unquote, case_run *run, void *context);

/* The next line, without its end; false when there is none. */
bool case_text_line(struct bytes *text, struct bytes *line);
/* The next word of a line: blanks between quotes belong to it. Empty at the end. */
struct bytes case_text_word(struct bytes *line);
/* True, and the line begins behind it, if `word` is its first one. */
bool case_text_take(struct bytes *line, const char *word);
/* Appends what a text between quotes says: \xHH is a byte, a backslash lets stand what follows. */
void case_text_unquote(struct buffer *out, struct bytes text);
/* Fails the test: this line of the case is not understood. */
void case_text_refuse(struct bytes text, struct bytes line);

#endif
