// The browser client on a stream that stays, while its other requests reach a server that does not know it: a restart behind a proxy
// that has not noticed yet.
//
//   node support/forgotten_client.mjs BASE OTHER
//
// Prints for each transport what the client's sends resolved to, as JSON.

import { connect } from "../../client/moonwire.js";
import { CuttingProxy } from "./proxy.mjs";

const [base, other] = process.argv.slice(2);
const seen = {};
for (const kind of ["sse", "poll"]) {
  const proxy = new CuttingProxy();
  const connection = connect(await proxy.listen(base), { transports: [kind], backoff: { min: 10, max: 100 }, timeout: 60000 });
  const room = connection.channel("room:1");
  await room.ready;
  proxy.target = other;
  const sent = await room.send("say", "hello").catch((error) => error.code);
  const missing = connection.channel("nothing:1");
  const refused = await missing.ready.catch((error) => error.code);
  const again = await room.send("say", "again").catch((error) => error.code);
  seen[kind] = [sent, refused, again];
  connection.close();
  proxy.close();
}
console.log(JSON.stringify(seen));
process.exit(0);
