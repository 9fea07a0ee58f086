/* Finds a member in text that json_scan refuses, so that the answer to a message that is not valid
 * JSON can have its ref. */
#ifndef MOONWIRE_CODEC_JSON_SALVAGE_H
#define MOONWIRE_CODEC_JSON_SALVAGE_H

#include "codec/json_scan.h"

VISIBILITY_PUSH

/* Looks for the member `name` of the object at the start of `text`, as far as strings and brackets
 * match, and at most 1024 levels deep. Returns true if its value is a string or a number that
 * json_scan accepts. If the name occurs more than once, the last one counts. */
bool json_salvage(struct bytes text, struct bytes name, struct json_value *value);

VISIBILITY_POP

#endif
