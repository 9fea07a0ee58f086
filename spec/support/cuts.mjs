// Publishes unevenly while the connections of subscribers are cut again and again.
//
// A subscriber has: proxy (spec/support/proxy.mjs), cuts (so far), and opens(): how many of its connections have opened, on which
// it may be cut. After a cut, the next waits for another connection.

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function cutAgain(subscriber, cuts) {
  let opensBefore = 0;
  while (subscriber.cuts < cuts) {
    const opens = await subscriber.opens();
    if (opens > opensBefore) {
      // in the middle of the replay, or long behind it
      await sleep(Math.random() < 0.5 ? Math.random() * 10 : Math.random() * 400);
      if (subscriber.proxy.cut() > 0) {
        subscriber.cuts++;
        opensBefore = opens;
      }
    }
    await sleep(5);
  }
}

// Has `count` messages published by posts to `${publish}?count=n`, and cuts each subscriber `cuts` times meanwhile.
export async function publishAndCut(publish, count, subscribers, cuts) {
  const post = (n) => fetch(`${publish}?count=${n}`, { method: "POST", headers: { "Content-Length": "0" } });
  const cutting = subscribers.map((subscriber) => cutAgain(subscriber, cuts));
  let published = 0;
  while (published < count) {
    const least = Math.min(...subscribers.map((subscriber) => subscriber.cuts));
    // A share for the time behind each cut, so that something is missed each time.
    const allowed = Math.floor((count * (least + 1)) / (cuts + 1));
    const burst = Math.min(allowed - published, Math.random() < 0.05 ? 300 : 1 + Math.floor(Math.random() * 15));
    if (burst > 0) await post(burst);
    published += burst;
    await sleep(Math.random() < 0.1 ? Math.random() * 100 : Math.random() * 5);
  }
  await Promise.all(cutting);
}
