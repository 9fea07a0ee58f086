/* Tokens that are not valid, each with the reason that its sender receives. The verifier has one
 * key: the secret for HS256. It is second 1000. */
#ifndef MOONWIRE_TEST_AUTH_HOSTILE_TOKENS_H
#define MOONWIRE_TEST_AUTH_HOSTILE_TOKENS_H

#include "test/support/token/token_keys.h"

#define PARTS "malformed token: three parts in base64url, separated by dots, are required"
#define HEADER "malformed header of the token"
#define DIGITS "malformed token: claims and signature must be base64url"
#define SIGNATURE "the signature of the token is invalid"
#define NO_KEY "no key is for the algorithm (\"alg\") and the key id (\"kid\") of the token"
#define CLAIMS "the claims of the token must be a JSON object, without a name twice"
#define TIMES "\"exp\", \"nbf\", and \"iat\" of the token must be numbers of seconds since 1970"
#define NAMES "\"iss\", \"sub\", and \"jti\" of the token must be strings"
#define EXPIRED "the token has expired"
#define CRIT "the token requires an extension (\"crit\") that is not supported"
#define LONG_KID "the \"kid\" of the token is too long"

/* "{"alg":"HS256"}" and "{"exp":2000}" in base64url */
#define HS "eyJhbGciOiJIUzI1NiJ9"
#define EXP "eyJleHAiOjIwMDB9"
/* "{"alg":"none"}" */
#define NONE "eyJhbGciOiJub25lIn0"

/* As they are sent. */
static const struct {
  const char *text, *fault;
} raw_rows[] = {
    {"", "a token is required"},
    {"x", PARTS},
    {".", PARTS},
    {"..", PARTS},
    {"...", PARTS},
    {"a.b", PARTS},
    {"a.b.c.d", PARTS},
    {"a.b.c.d.e", PARTS}, /* an encrypted token */
    {".b.c", PARTS},
    {"a..c", PARTS},
    {HS, PARTS},
    {HS "." EXP, PARTS},
    {HS "." EXP ".", SIGNATURE},
    {HS "." EXP "..", PARTS},
    {HS "." EXP ".AA", SIGNATURE},
    {HS "." EXP ".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", SIGNATURE},
    {HS "." EXP ".AB", DIGITS}, /* unused bits */
    {HS "." EXP ".AA==", DIGITS},
    {HS "." EXP ".+/+/", DIGITS},
    {HS "." EXP ". AAA", DIGITS},
    {HS "." EXP ".AAA\n", DIGITS},
    {HS "=." EXP ".AAAA", HEADER},
    {HS "." EXP "=.AAAA", SIGNATURE},
    {" " HS "." EXP ".AAAA", HEADER},
    {"!!!!." EXP ".AAAA", HEADER},
    {"e30." EXP ".AAAA", HEADER},     /* {} */
    {"W10." EXP ".AAAA", HEADER},     /* [] */
    {"bnVsbA." EXP ".AAAA", HEADER},  /* null */
    {"e30gZTMw." EXP ".AAA", HEADER}, /* {} e30 */
    /* CVE-2015-9235 and its relatives: no signature */
    {NONE "." EXP ".", NO_KEY},
    {NONE "." EXP ".AAAA", NO_KEY},
    {"eyJhbGciOiJOb25lIn0." EXP ".", NO_KEY},        /* None */
    {"eyJhbGciOiJOT05FIn0." EXP ".", NO_KEY},        /* NONE */
    {"eyJhbGciOiJuT25FIn0." EXP ".", NO_KEY},        /* nOnE */
    {"eyJhbGciOiIifQ." EXP ".", NO_KEY},             /* "" */
    {"eyJ0eXAiOiJKV1QifQ." EXP ".", HEADER},         /* no alg */
    {"eyJhbGciOm51bGx9." EXP ".", HEADER},           /* null */
    {"eyJhbGciOmZhbHNlfQ." EXP ".", HEADER},         /* false */
    {"eyJhbGciOlsiSFMyNTYiXX0." EXP ".", HEADER},    /* ["HS256"] */
    {"eyJhbGciOiJIUzI1NiJ9e30." EXP ".AAA", HEADER}, /* text after it */
};

/* A header with the claims {"exp":2000}, with a valid signature. */
static const struct {
  const char *header, *fault;
} header_rows[] = {
    {"{\"alg\":\"none\"}", NO_KEY},
    {"{\"alg\":\"hs256\"}", NO_KEY},
    {"{\"alg\":\"HS256 \"}", NO_KEY},
    {"{\"alg\":\"HS256\\u0000\"}", HEADER},
    {"{\"alg\":\"HS384\"}", NO_KEY},
    {"{\"alg\":\"HS512\"}", NO_KEY},
    {"{\"alg\":\"RS256\"}", NO_KEY},
    {"{\"alg\":\"PS256\"}", NO_KEY},
    {"{\"alg\":\"ES256\"}", NO_KEY},
    {"{\"alg\":\"ES256K\"}", NO_KEY},
    {"{\"alg\":\"EdDSA\"}", NO_KEY},
    {"{\"alg\":\"HS1\"}", NO_KEY},
    {"{\"alg\":\"dir\"}", NO_KEY},
    {"{\"alg\":1}", HEADER},
    {"{\"alg\":{}}", HEADER},
    {"{\"ALG\":\"HS256\"}", HEADER},
    {"{\"alg\":\"none\",\"alg\":\"HS256\"}", HEADER},
    {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", HEADER},
    {"{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", HEADER},
    {"{\"alg\":\"HS256\",\"typ\":1}", HEADER},
    {"{\"alg\":\"HS256\",\"typ\":null}", HEADER},
    {"{\"alg\":\"HS256\",\"kid\":1}", HEADER},
    {"{\"alg\":\"HS256\",\"kid\":null}", HEADER},
    {"{\"alg\":\"HS256\",\"kid\":[\"a\"]}", HEADER},
    {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", CRIT},
    {"{\"alg\":\"HS256\",\"crit\":[]}", CRIT},
    {"{\"alg\":\"HS256\",\"crit\":null}", CRIT},
    {"{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", CRIT},
    {"{\"alg\":\"HS256\"} ", NULL},
    {"{\"alg\":\"HS256\"}x", HEADER},
    {"{\"alg\":\"HS256\",}", HEADER},
    {"{'alg':'HS256'}", HEADER},
    {"{\"alg\":\"HS256\"", HEADER},
    {"\"HS256\"", HEADER},
    {"[{\"alg\":\"HS256\"}]", HEADER},
    {"\xef\xbb\xbf{\"alg\":\"HS256\"}", HEADER},
    {"{\"alg\":\"HS256\",\"x\":\"\xff\"}", HEADER},
    {"{\"alg\":\"HS256\",\"x\":01}", HEADER},
    {"{\"alg\":\"HS256\",\"x\":\"\\ud800\"}", HEADER},
    /* What a token says about keys is not believed: these are valid because of our own key alone. */
    {"{\"alg\":\"HS256\",\"kid\":\"../../../../dev/null\"}", NULL},
    {"{\"alg\":\"HS256\",\"kid\":\"x' UNION SELECT 'key';--\"}", NULL},
    {"{\"alg\":\"HS256\",\"kid\":\"|/bin/true\"}", NULL},
    {"{\"alg\":\"HS256\",\"kid\":\"\"}", NULL},
    {"{\"alg\":\"HS256\",\"jku\":\"https://evil.example/keys\"}", NULL},
    {"{\"alg\":\"HS256\",\"x5u\":\"https://evil.example/cert\"}", NULL},
    {"{\"alg\":\"HS256\",\"x5c\":[\"MIIB\"]}", NULL},
    {"{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", NULL},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"cty\":\"JWT\",\"zip\":\"DEF\"}", NULL},
};

/* Claims with the header {"alg":"HS256"}, with a valid signature. */
static const struct {
  const char *claims, *fault;
} claim_rows[] = {
    {"[]", CLAIMS},
    {"null", CLAIMS},
    {"\"exp\"", CLAIMS},
    {"2000", CLAIMS},
    {"exp=2000", CLAIMS},
    {"{", CLAIMS},
    {"{\"exp\":2000", CLAIMS},
    {"{\"exp\":2000}}", CLAIMS},
    {"{\"exp\":2000},", CLAIMS},
    {"{\"exp\":1,\"exp\":2000}", CLAIMS},
    {"{\"exp\":2000,\"exp\":2000}", CLAIMS},
    {"{\"exp\":2000,\"\\u0065xp\":9}", CLAIMS},
    {"{\"exp\":2000,\"a\":{\"b\":1,\"b\":2}}", CLAIMS},
    {"{\"exp\":02000}", CLAIMS},
    {"{\"exp\":+2000}", CLAIMS},
    {"{\"exp\":0x7d0}", CLAIMS},
    {"{\"exp\":2000.}", CLAIMS},
    {"{\"exp\":.2e4}", CLAIMS},
    {"{\"exp\":Infinity}", CLAIMS},
    {"{\"exp\":NaN}", CLAIMS},
    {"{\"exp\":1e400}", CLAIMS},
    {"{\"exp\":99999999999999999999}", CLAIMS},
    {"{\"exp\":\"2000\"}", TIMES},
    {"{\"exp\":\"\"}", TIMES},
    {"{\"exp\":null}", TIMES},
    {"{\"exp\":true}", TIMES},
    {"{\"exp\":[2000]}", TIMES},
    {"{\"exp\":{}}", TIMES},
    {"{\"exp\":-1}", TIMES},
    {"{\"exp\":-0.5}", TIMES},
    {"{\"exp\":1e300}", TIMES},
    {"{\"exp\":9223372036854775807}", TIMES},
    {"{\"exp\":253402300800}", TIMES},
    {"{\"exp\":253402300799}", NULL},
    {"{\"exp\":2000,\"nbf\":\"0\"}", TIMES},
    {"{\"exp\":2000,\"nbf\":null}", TIMES},
    {"{\"exp\":2000,\"nbf\":-1}", TIMES},
    {"{\"exp\":2000,\"nbf\":9223372036854775807}", TIMES},
    {"{\"exp\":2000,\"nbf\":1001}", "the token is not valid yet (\"nbf\")"},
    {"{\"exp\":2000,\"iat\":\"now\"}", TIMES},
    {"{\"exp\":2000,\"iat\":false}", TIMES},
    {"{\"exp\":999}", EXPIRED},
    {"{\"exp\":1000}", EXPIRED},
    {"{\"exp\":0}", EXPIRED},
    {"{\"exp\":1e-9}", EXPIRED},
    {"{}", "the token never expires: \"exp\" is required"},
    {"{\"EXP\":2000}", "the token never expires: \"exp\" is required"},
    {"{\"exp \":2000}", "the token never expires: \"exp\" is required"},
    {"{\"exp\":2000,\"iss\":1}", NAMES},
    {"{\"exp\":2000,\"iss\":[\"joe\"]}", NAMES},
    {"{\"exp\":2000,\"iss\":null}", NAMES},
    {"{\"exp\":2000,\"sub\":null}", NAMES},
    {"{\"exp\":2000,\"sub\":{}}", NAMES},
    {"{\"exp\":2000,\"sub\":1.5}", NAMES},
    {"{\"exp\":2000,\"sub\":true}", NAMES},
    {"{\"exp\":2000,\"jti\":7}", NAMES},
    {"{\"exp\":2000,\"aud\":7}", "\"aud\" of the token must be a string or a list of strings"},
    {"{\"exp\":2000,\"aud\":null}", "\"aud\" of the token must be a string or a list of strings"},
    {"{\"exp\":2000,\"aud\":[\"a\",7]}", "\"aud\" of the token must be a string or a list of strings"},
    {"{\"exp\":2000,\"aud\":{}}", "\"aud\" of the token must be a string or a list of strings"},
    {"{\"exp\":2000,\"aud\":[]}", "the token is for another audience (\"aud\")"},
    {"{\"exp\":2000,\"aud\":\"\"}", "the token is for another audience (\"aud\")"},
    {"{\"exp\":2000,\"sub\":\"\\u0000\"}", CLAIMS},
    {"{\"exp\":2000,\"sub\":\"\\ud800\"}", CLAIMS},
    {"{\"exp\":2000,\"sub\":\"\xc3\x28\"}", CLAIMS},
    {"{\"exp\":2000,\"sub\":\"a\nb\"}", CLAIMS},
    {"\xef\xbb\xbf{\"exp\":2000}", CLAIMS},
};

#endif
