// Node's own WebSocket:  node --experimental-websocket standard.mjs URL [PROTOCOL]

import { connectByStandard, scenario } from "./scenario.mjs";

const [url, protocol] = process.argv.slice(2);
console.log(JSON.stringify(await scenario(connectByStandard, url, protocol)));
