/* Finds a member in a text that json_scan refuses: an answer to a message that is not valid JSON can carry its ref all the same. */
#ifndef MOONWIRE_CODEC_JSON_SALVAGE_H
#define MOONWIRE_CODEC_JSON_SALVAGE_H

#include "codec/json_scan.h"

VISIBILITY_PUSH

/* Looks for the member `name` of the object that `text` begins with, as far as strings and brackets match, and no deeper than 1024
 * levels. True if its value is a string or a number that json_scan accepts; of several the last one counts. */
bool json_salvage(struct bytes text, struct bytes name, struct json_value *value);

VISIBILITY_POP

#endif
