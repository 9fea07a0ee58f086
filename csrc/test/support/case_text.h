/* Reads test cases that are written as text: paragraphs of lines, whose first line names the case.
 * A line "each NAME VALUE…" repeats a paragraph for each value, which replaces $NAME. "#" begins a
 * comment. */
#ifndef MOONWIRE_TEST_SUPPORT_CASE_TEXT_H
#define MOONWIRE_TEST_SUPPORT_CASE_TEXT_H

#include "base/buffer.h"

typedef void case_run(struct bytes text, void *context);

/* Runs every case of the file and returns how many there were. With `unquote`, quotes around a
 * value are removed. Fails the test if the file does not exist. */
size_t case_text_run(const char *path, bool unquote, case_run *run, void *context);

/* Reads the next line, without its newline. Returns false at the end. */
bool case_text_line(struct bytes *text, struct bytes *line);
/* Returns the next word of a line, or empty bytes at the end. Spaces between quotes belong to the
 * word. */
struct bytes case_text_word(struct bytes *line);
/* If `word` is the first word of the line, removes it and returns true. */
bool case_text_take(struct bytes *line, const char *word);
/* Appends the text between quotes: \xHH is a byte, and a backslash keeps the character after it. */
void case_text_unquote(struct buffer *out, struct bytes text);
/* Fails the test, because this line of the case is invalid. */
void case_text_refuse(struct bytes text, struct bytes line);

#endif
