#include "codec/proxy/address.h"

#include "test/support.h"

static void addresses_are_read_and_written(void **state) {
  (void)state;
  static const struct {
    const char *text, *written; /* NULL: refused */
  } cases[] = {
      {"192.0.2.1", "192.0.2.1"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::ffff:192.0.2.1", "192.0.2.1"},
      {"::FFFF:c000:201", "192.0.2.1"},
      {"2001:DB8::1", "2001:db8::1"},
      {"2001:db8:0:0:0:0:0:1", "2001:db8::1"},
      {"::", "::"},
      {"::1", "::1"},
      {"fe80::1%eth0", "fe80::1"},
      {"fe80::1%", NULL},
      {"192.0.2.1%eth0", NULL},
      {"", NULL},
      {" 192.0.2.1", NULL},
      {"192.0.2.1 ", NULL},
      {"192.0.2", NULL},
      {"192.0.2.256", NULL},
      {"192.0.2.01", NULL},
      {"192.0.2.1.1", NULL},
      {"0x7f.1", NULL},
      {"3221225985", NULL},
      {"1.2.3.4,5.6.7.8", NULL},
      {"2001:db8::1::1", NULL},
      {"2001:db8::12345", NULL},
      {"[::1]", NULL},
      {":::", NULL},
      {"%eth0", NULL},
      {"localhost", NULL},
      {"unix", NULL},
      {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", NULL},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct ip_address address;
    char text[IP_TEXT_MAX] = "";
    bool is_read = ip_read(bytes_string(cases[i].text), &address);
    if (is_read) ip_write(&address, text);
    if (is_read != (cases[i].written != NULL) || (is_read && strcmp(text, cases[i].written) != 0))
      fail_msg("\"%s\" is read as \"%s\"", cases[i].text, text);
  }
  struct ip_address address;
  assert_false(ip_read(BYTES("192.0.2.1\0"), &address));
}

static void nodes_may_have_a_port(void **state) {
  (void)state;
  static const struct {
    const char *text, *written;
  } cases[] = {
      {"192.0.2.1", "192.0.2.1"},
      {"192.0.2.1:80", "192.0.2.1"},
      {"192.0.2.1:65535", "192.0.2.1"},
      {"2001:db8::1", "2001:db8::1"},
      {"[2001:db8::1]", "2001:db8::1"},
      {"[2001:db8::1]:443", "2001:db8::1"},
      {"[::ffff:192.0.2.1]:1", "192.0.2.1"},
      {"::ffff:192.0.2.1", "192.0.2.1"},
      {"192.0.2.1:", NULL},
      {"192.0.2.1:65536", NULL},
      {"192.0.2.1:-1", NULL},
      {"192.0.2.1:http", NULL},
      {"192.0.2.1:_port", NULL},
      {"192.0.2.1:80:80", NULL},
      {"[192.0.2.1]", NULL},
      {"[2001:db8::1", NULL},
      {"[2001:db8::1]443", NULL},
      {"[2001:db8::1]:", NULL},
      {"[2001:db8::1]:99999", NULL},
      {"2001:db8::1]", NULL},
      {"[]", NULL},
      {"[]:1", NULL},
      {"[", NULL},
      {"unknown", NULL},
      {"_hidden", NULL},
      {"_SEVKISEK", NULL},
      {"", NULL},
      {"unix:", NULL},
      {"-", NULL},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct ip_address address;
    char text[IP_TEXT_MAX] = "";
    bool is_read = ip_read_node(bytes_string(cases[i].text), &address);
    if (is_read) ip_write(&address, text);
    if (is_read != (cases[i].written != NULL) || (is_read && strcmp(text, cases[i].written) != 0))
      fail_msg("\"%s\" is read as \"%s\"", cases[i].text, text);
  }
}

static void networks_have_their_addresses(void **state) {
  (void)state;
  static const struct {
    const char *network, *has, *has_not; /* both NULL: refused */
  } cases[] = {
      {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
      {"10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"},
      {"10.0.0.0/8", "10.0.0.0", "9.255.255.255"},
      {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
      {"192.0.2.1/32", "192.0.2.1", "192.0.2.0"},
      {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
      {"172.16.0.0/12", "172.31.255.255", "172.32.0.0"},
      {"0.0.0.0/0", "203.0.113.9", "2001:db8::1"},
      {"::/0", "203.0.113.9", NULL},
      {"::/0", "2001:db8::1", NULL},
      {"2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
      {"2001:db8::1", "2001:db8::1", "2001:db8::2"},
      {"fd00::/7", NULL, NULL},
      {"fc00::/7", "fdff::1", "fe00::"},
      {"::ffff:10.0.0.0/104", "10.9.8.7", "11.0.0.0"},
      {"10.0.0.1/8", NULL, NULL},
      {"10.0.0.0/33", NULL, NULL},
      {"10.0.0.0/", NULL, NULL},
      {"10.0.0.0/a", NULL, NULL},
      {"10.0.0.0/-1", NULL, NULL},
      {"10.0.0.0/08000", NULL, NULL},
      {"10.0.0.0/8/8", NULL, NULL},
      {"10.0.0/8", NULL, NULL},
      {"10/8", NULL, NULL},
      {"::/129", NULL, NULL},
      {"fe80::1%eth0", NULL, NULL},
      {"proxy.example", NULL, NULL},
      {"", NULL, NULL},
      {"/8", NULL, NULL},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct ip_network network;
    struct ip_address address;
    const char *fault = ip_network_read(bytes_string(cases[i].network), &network);
    if ((fault != NULL) != (!cases[i].has && !cases[i].has_not)) fail_msg("\"%s\": %s", cases[i].network, fault ? fault : "fine");
    if (fault) continue;
    assert_true(ip_read(bytes_string(cases[i].has), &address));
    if (!ip_network_has(&network, &address)) fail_msg("\"%s\" has not %s", cases[i].network, cases[i].has);
    if (!cases[i].has_not) continue;
    assert_true(ip_read(bytes_string(cases[i].has_not), &address));
    if (ip_network_has(&network, &address)) fail_msg("\"%s\" has %s", cases[i].network, cases[i].has_not);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_are_read_and_written),
      cmocka_unit_test(nodes_may_have_a_port),
      cmocka_unit_test(networks_have_their_addresses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
