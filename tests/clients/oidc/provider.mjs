// An OpenID provider for journeys: `node provider.mjs <where npm put oidc-provider> <task.json> <people.json>`. People are read anew at every sign-in.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, taskFile, peopleFile] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(createRequire(`${folder}/`).resolve('oidc-provider')));
const task = JSON.parse(readFileSync(taskFile));
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

const provider = new Provider(task.issuer, {
  clients: task.clients,
  jwks: { keys: [{ ...key, kid: 'journey', use: 'sig', alg: 'RS256' }] },
  cookies: { keys: ['only for tests'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  scopes: ['openid', 'email', 'profile', 'groups'],
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (context, resource) => ({ scope: 'openid', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 300 }),
      useGrantedResource: () => true,
    },
  },
  findAccount(context, id) {
    const person = JSON.parse(readFileSync(peopleFile))[id];
    return person && { accountId: id, claims: () => ({ sub: id, ...person }) };
  },
});
const { port } = new URL(task.issuer);
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
