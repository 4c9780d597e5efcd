/** @file Signing in on Cognito's page, against a fake of its endpoints. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";

import { SignIn } from "../src/sign-in.js";
import { FakeStorage } from "./support/browser.js";

const SIGN_IN_URL = "https://live-example-dev.auth.us-east-1.amazoncognito.com";
const PAGE = "https://live.example.com/signed-in";
const GRANTED = { access_token: "access1", refresh_token: "refresh1", expires_in: 3600 };

let storage;
let requests;
let answers;
let now;
const { now: originalNow } = Date;

beforeEach(() => {
  storage = new FakeStorage();
  requests = [];
  answers = [];
  now = 1_795_708_800_000;
  Date.now = () => now;
  globalThis.location = {
    href: PAGE,
    assign: (url) => {
      location.href = url;
    },
  };
  globalThis.history = {
    state: { page: 1 },
    replaceState: (state, _, url) => {
      assert.deepEqual(state, { page: 1 });
      location.href = String(url);
    },
  };
});

afterEach(() => {
  Date.now = originalNow;
  delete globalThis.location;
  delete globalThis.history;
});

/** Answer with the next of the answers: a status with a body, or an error. */
async function fetch(url, { method, body }) {
  requests.push({ url: String(url), method, ...Object.fromEntries(body) });
  const [status, answer] = answers.shift();
  if (status === "reset") throw new TypeError("fetch failed");
  return new Response(typeof answer === "string" ? answer : JSON.stringify(answer), { status });
}

const signIn = () =>
  new SignIn({ ...{ url: SIGN_IN_URL, clientId: "client1", redirectUrl: PAGE, storage, fetch } });

/** Start signing in, and wait until the page goes away. */
const start = () =>
  new Promise((resolve, reject) => {
    location.assign = (url) => {
      location.href = url;
      resolve();
    };
    signIn().start().catch(reject);
  });

/** Go to the sign-in page, and come back with its answer. */
async function visit(query = { code: "code1" }) {
  await start();
  const asked = new URL(location.href).searchParams;
  location.href = `${PAGE}?tab=2&${new URLSearchParams({ state: asked.get("state"), ...query })}`;
  return asked;
}

async function signedIn() {
  await visit();
  answers.push([200, GRANTED]);
  const page = signIn();
  await page.finish();
  return page;
}

test("start() goes to the sign-in page with a challenge and a state", async () => {
  await start();
  const { origin, pathname, searchParams } = new URL(location.href);
  const { state, code_challenge, ...query } = Object.fromEntries(searchParams);
  assert.equal(origin + pathname, `${SIGN_IN_URL}/oauth2/authorize`);
  assert.deepEqual(query, {
    client_id: "client1",
    response_type: "code",
    redirect_uri: PAGE,
    scope: "openid email profile",
    code_challenge_method: "S256",
  });
  assert.match(state, /^[A-Za-z0-9_-]{43}$/);
  assert.match(code_challenge, /^[A-Za-z0-9_-]{43}$/);
});

test("two sign-ins have different secrets", async () => {
  const [one, other] = [await visit(), await visit()];
  assert.notEqual(one.get("state"), other.get("state"));
  assert.notEqual(one.get("code_challenge"), other.get("code_challenge"));
});

test("finish() exchanges the code with the verifier of the challenge", async () => {
  const asked = await visit();
  answers.push([200, GRANTED]);
  const page = signIn();

  assert.equal(await page.finish(), true);

  const [{ code_verifier, ...request }] = requests;
  assert.deepEqual(request, {
    url: `${SIGN_IN_URL}/oauth2/token`,
    method: "POST",
    grant_type: "authorization_code",
    client_id: "client1",
    redirect_uri: PAGE,
    code: "code1",
  });
  const challenge = createHash("sha256").update(code_verifier).digest("base64url");
  assert.equal(challenge, asked.get("code_challenge"));
  assert.equal(page.isSignedIn, true);
  assert.equal(await page.token(), "access1");
});

test("finish() takes the code out of the address and the secrets out of the storage", async () => {
  await visit();
  const [key] = storage.keys();
  answers.push([200, GRANTED]);
  await signIn().finish();
  assert.equal(location.href, `${PAGE}?tab=2`);
  assert.equal(storage.has(key), false);
  assert.equal(await signIn().finish(), false);
});

test("a page that doesn't come from the sign-in page has nothing to finish", async () => {
  for (const href of [PAGE, `${PAGE}?code=1`, `${PAGE}?state=1`]) {
    location.href = href;
    assert.equal(await signIn().finish(), false);
  }
  assert.deepEqual(requests, []);
});

test("a code of a sign-in that this tab hasn't started is not exchanged", async () => {
  const forged = { code: "SIGN_IN_FAILED", temporary: false };
  location.href = `${PAGE}?code=stolen&state=forged`;
  await assert.rejects(signIn().finish(), forged);
  await visit({ code: "stolen", state: "forged" });
  await assert.rejects(signIn().finish(), forged);
  assert.deepEqual(requests, []);
  assert.equal(signIn().isSignedIn, false);
});

test("a refusal of the sign-in page rejects", async () => {
  await visit({ error: "access_denied", error_description: "no" });
  await assert.rejects(signIn().finish(), { code: "SIGN_IN_FAILED" });
  assert.equal(location.href, `${PAGE}?tab=2`);
});

for (const failure of [[400, { error: "invalid_grant" }], [503, {}], ["reset"]]) {
  test(`an exchange of the code that fails with ${failure[0]} is final`, async () => {
    await visit();
    answers.push(failure);
    const page = signIn();
    await assert.rejects(page.finish(), { code: "SIGN_IN_FAILED", temporary: false });
    assert.equal(page.isSignedIn, false);
  });
}

test("a token is valid over a reload, and is renewed a minute before it expires", async () => {
  await signedIn();
  now += 3539 * 1000;
  assert.equal(await signIn().token(), "access1");
  now += 2000;
  answers.push([200, { access_token: "access2", expires_in: 3600 }]);
  assert.equal(await signIn().token(), "access2");
  assert.deepEqual(requests.at(-1), {
    url: `${SIGN_IN_URL}/oauth2/token`,
    method: "POST",
    grant_type: "refresh_token",
    refresh_token: "refresh1",
    client_id: "client1",
  });
});

test("a rotated refresh token replaces the old one", async () => {
  const page = await signedIn();
  for (const number of [2, 3]) {
    now += 3600 * 1000;
    const tokens = { access_token: `access${number}`, refresh_token: `refresh${number}` };
    answers.push([200, { ...GRANTED, ...tokens }]);
    assert.equal(await page.token(), `access${number}`);
  }
  assert.equal(requests.at(-1).refresh_token, "refresh2");
});

test("a renewal that fails for now leaves the token that is still valid", async () => {
  const page = await signedIn();
  now += 3590 * 1000;
  answers.push([503, {}], [503, {}]);
  assert.equal(await page.token(), "access1");
  now += 10 * 1000;
  await assert.rejects(page.token(), { code: "CONNECTION_FAILED", temporary: true });
});

test("a renewal that ends after signOut() is dropped", async () => {
  const page = await signedIn();
  now += 3600 * 1000;
  answers.push([200, { ...GRANTED, access_token: "access2" }]);
  const refused = assert.rejects(page.token(), { code: "SIGNED_OUT" });
  page.signOut("https://live.example.com/");
  await refused;
  assert.equal(page.isSignedIn, false);
  assert.equal(storage.size, 0);
});

test("the secrets of a request follow no redirection", async () => {
  await visit();
  const options = [];
  const recorded = (url, init) => {
    options.push(init);
    return fetch(url, init);
  };
  answers.push([200, GRANTED]);
  const page = { url: SIGN_IN_URL, clientId: "client1", redirectUrl: PAGE, storage };
  await new SignIn({ ...page, fetch: recorded }).finish();
  assert.deepEqual(
    options.map(({ redirect }) => redirect),
    ["error"],
  );
});

test("two calls share a renewal", async () => {
  const page = await signedIn();
  now += 3600 * 1000;
  answers.push([200, { ...GRANTED, access_token: "access2" }]);
  assert.deepEqual(await Promise.all([page.token(), page.token()]), ["access2", "access2"]);
});

for (const status of [400, 401]) {
  test(`a renewal that is refused with ${status} signs the speaker out`, async () => {
    const page = await signedIn();
    now += 3600 * 1000;
    answers.push([status, { error: "invalid_grant" }]);
    await assert.rejects(page.token(), { code: "SIGNED_OUT", temporary: false });
    assert.equal(page.isSignedIn, false);
    await assert.rejects(page.token(), { code: "SIGNED_OUT" });
  });
}

for (const failure of [
  ["reset"],
  ...[400, 401, 403, 408, 429, 503].map((status) => [status, "<h1>Request blocked</h1>"]),
  ...[{ error: 5 }, {}, null].map((body) => [400, body]),
  ...[null, "", '{"access_token":"NE', { access_token: { a: 1 } }].map((body) => [200, body]),
  ...[403, 503].map((status) => [status, { error: "invalid_grant" }]),
]) {
  test(`a renewal that is answered with ${JSON.stringify(failure)} is temporary`, async () => {
    const page = await signedIn();
    now += 3600 * 1000;
    answers.push(failure, [200, { ...GRANTED, access_token: "access2" }]);
    await assert.rejects(page.token(), { code: "CONNECTION_FAILED", temporary: true });
    assert.equal(await page.token(), "access2");
  });
}

for (const lifetime of [undefined, null, 0, "soon"]) {
  test(`a token that expires in ${lifetime} seconds lasts for an hour`, async () => {
    const page = await signedIn();
    now += 3600 * 1000;
    answers.push([200, { ...GRANTED, access_token: "access2", expires_in: lifetime }]);
    assert.equal(await page.token(), "access2");
    now += 3530 * 1000;
    assert.equal(await page.token(), "access2");
    now += 20 * 1000;
    answers.push([200, { ...GRANTED, access_token: "access3" }]);
    assert.equal(await page.token(), "access3");
  });
}

for (const garbage of ["{", "5", "null", "[]", '{"refreshToken":"refresh1"}']) {
  test(`the stored tokens ${garbage} count as signed out`, async () => {
    storage.setItem("broadcast-sessions-client.tokens", garbage);
    storage.setItem("broadcast-sessions-client.sign-in", garbage);
    const page = signIn();
    assert.equal(page.isSignedIn, false);
    await assert.rejects(page.token(), { code: "SIGNED_OUT" });
    location.href = `${PAGE}?code=code1&state=state1`;
    await assert.rejects(page.finish(), { code: "SIGN_IN_FAILED" });
  });
}

test("a storage that throws counts as signed out", async () => {
  const page = signIn();
  storage.getItem = storage.removeItem = () => {
    throw new Error("SecurityError");
  };
  assert.equal(page.isSignedIn, false);
  await assert.rejects(page.token(), { code: "SIGNED_OUT" });
});

test("a renewed token that finds no room in the storage lasts as long as the page", async () => {
  const page = await signedIn();
  now += 3600 * 1000;
  storage.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  answers.push([200, { ...GRANTED, access_token: "access2" }]);
  assert.equal(await page.token(), "access2");
  assert.equal(await page.token(), "access2");
  assert.equal(page.isSignedIn, true);

  page.signOut("https://live.example.com/");
  assert.equal(page.isSignedIn, false);
});

test("signOut() forgets the tokens and goes to the logout page", async () => {
  const page = await signedIn();
  page.signOut("https://live.example.com/");
  const query = "client_id=client1&logout_uri=https%3A%2F%2Flive.example.com%2F";
  assert.equal(location.href, `${SIGN_IN_URL}/logout?${query}`);
  assert.equal(storage.size, 0);
});

test("without a storage, the constructor throws", () => {
  const options = { url: SIGN_IN_URL, clientId: "client1", redirectUrl: PAGE };
  assert.throws(() => new SignIn({ ...options, storage: null }), TypeError);
});

test("nothing is written to the console", async () => {
  const names = ["log", "info", "warn", "error", "debug"];
  const originals = names.map((name) => console[name]);
  const written = [];
  names.forEach((name) => (console[name] = (...words) => written.push(words)));
  try {
    const page = await signedIn();
    now += 3600 * 1000;
    answers.push([400, { error: "invalid_grant" }]);
    await page.token().catch(() => {});
  } finally {
    names.forEach((name, index) => (console[name] = originals[index]));
  }
  assert.deepEqual(written, []);
});
