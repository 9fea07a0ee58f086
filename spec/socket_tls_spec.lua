-- moonwire.socket over TLS, with certificates of its own authorities: verified by default, split at each byte, and cut.

local server = require "spec.support.server"
local sockets = require "spec.support.sockets"

local null = require("moonwire").null

-- Makes an authority, and certificates for a name: NAME.key, NAME.crt.
local CERTIFICATES = [[
cd %s
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.crt -days 30 -subj /CN=$1
}
certificate() { # NAME AUTHORITY DAYS SUBJECT_ALT_NAME
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj /CN=$1
  printf 'subjectAltName=%%s\n' "$4" > $1.ext
  openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -out $1.crt -days $3 -extfile $1.ext
}
{
  authority ca
  authority strangers
  certificate good ca 30 DNS:localhost,IP:127.0.0.1
  certificate other strangers 30 DNS:localhost,IP:127.0.0.1
  certificate old ca -1 DNS:localhost,IP:127.0.0.1
} 2> /dev/null
ls *.crt
]]

describe("moonwire.socket over TLS", function()
  local app, peer, stop_peer, directory

  setup(function()
    directory = sockets.directory()
    local made = server.run(CERTIFICATES:format(directory))
    assert.equal("ca.crt\ngood.crt\nold.crt\nother.crt\nstrangers.crt", made)
    peer, stop_peer = sockets.peer("node spec/support/socket_peer.mjs " .. directory .. " --tls")
    app = sockets.start(([[
CA, PORTS = "%s/ca.crt", { tcp = %d, good = %d, other = %d, old = %d, split = %d }
function connect(name, host, options)
  local connection = require("moonwire.socket").tcp()
  connection:settimeout(60)
  assert(connection:connect(host or "localhost", PORTS[name], options))
  return connection
end
]]):format(directory, peer.tcp, peer.good, peer.other, peer.old, peer.split))
  end)

  teardown(function()
    app:stop()
    stop_peer()
    server.run("rm -rf " .. directory)
  end)

  local function run(...)
    return sockets.run(app, ...)
  end

  it("encrypts, by name and by address", function()
    local text, by_address, big = run [[
      local connection = connect "good"
      assert(connection:sslhandshake { ca = CA })
      connection:send "say hello\\n\n"
      local other = connect("good", "127.0.0.1")
      assert(other:sslhandshake { ca = CA })
      other:send "flood 1000000\n"
      local big = #other:receive(1000000)
      other:send "say world\\n\n"
      return connection:receive(), other:receive(), big
    ]]
    assert.same({ "hello", "world", 1000000 }, { text, by_address, big })
  end)

  it("refuses certificates that are not valid, unless told otherwise", function()
    local results = run [[
      local function handshake(name, ...)
        local connection = connect(name)
        connection:settimeout(name == "tcp" and 0.2 or 10)
        return (select(2, connection:sslhandshake(...))) or "accepted"
      end
      return {
        handshake("good"),
        handshake("other", { ca = CA }),
        handshake("old", { ca = CA }),
        handshake("good", { ca = CA, name = "example.com" }),
        handshake("good", { ca = CA, name = "127.0.0.2" }),
        handshake("good", { ca = "/nonexistent" }),
        handshake("tcp", { ca = CA }),
        handshake("other", { verify = false }),
        handshake("old", nil, nil, false),
        handshake("good", false, "localhost", true),
      }
    ]]
    assert.matches("^certificate refused: unable to get local issuer certificate", results[1])
    assert.matches("^certificate refused: unable to get local issuer certificate", results[2])
    assert.matches("^certificate refused: certificate has expired", results[3])
    assert.matches("^certificate refused: hostname mismatch", results[4])
    assert.matches("^certificate refused: IP address mismatch", results[5])
    assert.matches("^cannot read the trusted certificates", results[6])
    assert.equal("timeout", results[7])
    assert.same({ "accepted", "accepted" }, { results[8], results[9] })
    assert.matches("^certificate refused: ", results[10])
  end)

  it("trusts the authorities of a file in place of those of the system", function()
    local ok, again = run [[
      socket.trust(CA)
      local ok = connect("good"):sslhandshake(nil, nil, true)
      socket.trust(nil)
      return ok, (select(2, connect("good"):sslhandshake()))
    ]]
    assert.is_true(ok)
    assert.matches("^certificate refused", again)
  end)

  it("reads and writes through a peer that passes one byte at a time", function()
    local line, size = run [[
      local connection = connect "split"
      assert(connection:sslhandshake { ca = CA })
      connection:send "say a line\\n\n"
      local line = connection:receive()
      connection:send "flood 3000\n"
      return line, #connection:receive(3000)
    ]]
    assert.same({ "a line", 3000 }, { line, size })
  end)

  it("tells the end of TLS from a stream that was cut", function()
    local all, cut, message, partial = run [[
      local connection = connect "good"
      assert(connection:sslhandshake { ca = CA })
      connection:send "end everything\n"
      local all = connection:receive "*a"
      connection = connect "good"
      assert(connection:sslhandshake { ca = CA })
      connection:send "cut a part\n"
      return all, connection:receive "*a"
    ]]
    assert.equal("everything", all)
    assert.equal(null, cut)
    assert.equal("the peer closed the connection without ending TLS", message)
    assert.equal("a part", partial)
  end)

  it("tells drivers the certificate, for SCRAM", function()
    local digest, text, name = run [[
      require "moonwire.compat.ngx"
      local cosocket = ngx.socket.tcp()
      assert(cosocket:connect("localhost", PORTS.good))
      socket.trust(CA)
      assert(cosocket:sslhandshake())
      socket.trust(nil)
      local certificate = require("resty.openssl.ssl").from_socket(cosocket):get_peer_certificate()
      local text = certificate:to_PEM()
      local hash = require("resty.openssl.x509").new(text, "PEM"):digest(certificate:get_signature_name())
      return require("resty.string").to_hex(hash), text, certificate:get_signature_name()
    ]]
    local shown = server.run(
      "openssl x509 -in " .. directory .. "/good.crt -outform DER | openssl dgst -sha256 -r"
    )
    assert.equal(shown:match "^%x+", digest)
    assert.equal(server.run("cat " .. directory .. "/good.crt") .. "\n", text)
    assert.equal("sha256", name)
  end)

  it("does not mix what came before TLS with what comes after", function()
    local message, closed = run [[
      local connection = connect "tcp"
      connection:send "say ab\n"
      connection:receive(1)
      local message = select(2, connection:sslhandshake { ca = CA })
      return message, select(2, connection:send "x")
    ]]
    assert.same({ "data is left from before TLS", "closed" }, { message, closed })
  end)

  it("uses encrypted connections of the pool again, for the same name only", function()
    local reused, again, text, refused = run [[
      local connection = connect("good", nil, { pool = "tls" })
      assert(connection:sslhandshake { ca = CA })
      connection:send "say x\\n\n"
      connection:receive()
      assert(connection:setkeepalive())
      connection = connect("good", nil, { pool = "tls" })
      local reused, again = connection:getreusedtimes(), connection:sslhandshake { ca = CA }
      connection:send "say y\\n\n"
      local text = connection:receive()
      assert(connection:setkeepalive())
      connection = connect("good", nil, { pool = "tls" })
      return reused, again, text, (select(2, connection:sslhandshake { ca = CA, name = "example.com" }))
    ]]
    assert.same({ 1, true, "y" }, { reused, again, text })
    assert.matches("other TLS options", refused)
  end)
end)
