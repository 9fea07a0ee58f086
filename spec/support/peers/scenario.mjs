// What each WebSocket peer does: two clients meet in a channel, speak, and go. Returns all that each was told, in order.
//
// `connect(url, protocol)` makes a client with send(text), sendBytes(Uint8Array), next() (a promise of a string or of bytes) and
// close(code), a promise of the code that came back. The function uses nothing from around it, for it is sent to a browser as well.

export async function scenario(connect, url, protocol) {
  const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const said = [];

  async function enter() {
    const told = [];
    const client = await connect(url, protocol);
    const next = async () => {
      const message = await client.next();
      if (typeof message === "string") {
        told.push(JSON.parse(message));
      } else {
        const end = message.indexOf(10);
        told.push({ ...JSON.parse(new TextDecoder().decode(message.subarray(0, end))), bytes: hex(message.subarray(end + 1)) });
      }
    };
    const send = (object) => client.send(JSON.stringify(object));
    if (protocol) {
      send({ connect: {}, ref: 0 });
      await next();
    }
    send({ subscribe: "room:peers", ref: 1 });
    await next();
    said.push(told);
    return { client, send, next, told };
  }

  const a = await enter();
  const b = await enter();
  b.send({ send: "room:peers", event: "say", data: { text: "grüß dich ✓ \ud83c\udf19" }, ref: "say" });
  b.send({ send: "room:peers", event: "typing", data: [true], ref: 3 });
  b.client.sendBytes(new Uint8Array([...new TextEncoder().encode('{"send":"room:peers","event":"typing","ref":4}\n'), 0, 10, 255]));
  b.send({ send: "room:peers", event: "shout", ref: 5 });
  b.send({ ping: true, ref: 6 });
  for (let i = 0; i < 6; i++) await b.next();
  for (let i = 0; i < 3; i++) await a.next();
  a.send({ unsubscribe: "room:peers", ref: 2 });
  await a.next();
  const large = "x".repeat(60000); // more than one read, and a frame with a length of 16 bits
  b.send({ send: "room:peers", event: "say", data: large, ref: 7 });
  await b.next();
  await b.next();
  const echoed = b.told.at(-2);
  echoed.data = echoed.data === large ? "the same" : "something else";
  return { said, closed: [await a.client.close(1000), await b.client.close(1000)] };
}

// A client over the WebSocket that browsers and Node.js have.
export function connectByStandard(url, protocol) {
  const socket = protocol ? new WebSocket(url, protocol) : new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const messages = [];
  let wake = () => {};
  socket.onmessage = ({ data }) => {
    messages.push(typeof data === "string" ? data : new Uint8Array(data));
    wake();
  };
  const closed = new Promise((resolve) => (socket.onclose = ({ code }) => resolve(code)));
  const client = {
    send: (text) => socket.send(text),
    sendBytes: (bytes) => socket.send(bytes),
    next: async () => {
      while (messages.length === 0) await new Promise((resolve) => (wake = resolve));
      return messages.shift();
    },
    close: (code) => {
      socket.close(code);
      return closed;
    },
  };
  return new Promise((resolve, reject) => {
    socket.onerror = () => reject(new Error("the connection failed"));
    socket.onopen = () => (socket.protocol === (protocol ?? "") ? resolve(client) : reject(new Error(`protocol ${socket.protocol}`)));
  });
}
