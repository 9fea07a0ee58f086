// Compiled, not run: what moonwire.d.ts must accept, and what it must not.

// @deno-types="../../client/moonwire.d.ts"
import { connect, MoonwireError, type Channel, type Message, type StateChange } from "../../client/moonwire.js";

const connection = connect("https://example.org/rt/", {
  token: async ({ reason }) => (reason === "expiring" ? "new" : "first"),
  transports: ["sse", "poll"],
  backoff: { max: 1000 },
});
connection.on("moonwire:state", ({ state, transport, delay }: StateChange) => console.log(state, transport, delay));

const room: Channel = connection.channel("room:1", { since: "a-1" });
const off = room.on<{ text: string }>("said", ({ text }, message: Message) => console.log(text.length, message.id));
off();
room.on("moonwire:presence", ({ joined, left, count }) => console.log(joined, left.length, count + 1));
const id: string = (await room.send("say", { text: "hi" }, { timeout: 5000 })).id;
await room.send("blob", new Uint8Array(3), { volatile: true });
const { messages, more } = await room.history({ before: id, limit: 10 });
for await (const { event, data } of room) console.log(event, data, messages.length, more, room.presence.count, room.presence.get("ann"));
try {
  await room.ready;
} catch (error) {
  if (error instanceof MoonwireError) console.log(error.code, error.reason);
}

// @ts-expect-error: no such transport
connect("/", { transports: ["pigeon"] });
// @ts-expect-error: no such option
connect("/", { reconnect: true });
// @ts-expect-error: the map is the client's to change
room.presence.set("eve", {});
// @ts-expect-error: a state cannot be set
connection.state = "open";
