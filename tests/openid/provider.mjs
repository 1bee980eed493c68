// A real OpenID provider for the tests: `node provider.mjs PORT REDIRECT_URI`. Whoever signs in is who they say:
// the login is the subject, and what comes behind a `+` says what is odd about them.
import Provider from "oidc-provider";

const [port, redirectUri] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "larder",
      // Must be escaped in the header, which is easily forgotten.
      client_secret: "secret with spaces, 100% + more",
      redirect_uris: [redirectUri],
    },
  ],
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "locale"] },
  cookies: { keys: ["only for tests"] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: id.split("+")[0],
      email: id.includes("+nomail") ? undefined : `${id.split("+")[0]}@example.com`,
      email_verified: !id.includes("+unverified"),
      locale: "en-GB",
    }),
  }),
});

provider.listen(Number(port), "localhost", () => console.log(`listening at ${issuer}`));
