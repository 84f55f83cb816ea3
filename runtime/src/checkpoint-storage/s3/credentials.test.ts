// Where a process has its credentials from, each kind in a process of its own and against a real server: the SDK's chain is the one that is documented.
// The server of the tests knows no session tokens, so what hands out credentials here gives none with them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { S3Server, whyNoS3Server } from '../../../../hack/s3-server/s3-server.ts';

const program = `
import { openStorageAt } from ${JSON.stringify(new URL('../open-checkpoint-storage.ts', import.meta.url).href)};
try {
  console.log(await openStorageAt('s3://checkpoints').putIfAbsent('a', new Uint8Array(10)));
} catch (error) {
  console.log(error.message);
}
`;

type Environment = Readonly<Record<string, string>>;

/** What the program prints that puts an object with such an environment and no other word of AWS in it. */
async function put(server: S3Server, environment: Environment): Promise<string> {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_')));
  const env = { ...inherited, AWS_ENDPOINT_URL_S3: server.endpoint, AWS_EC2_METADATA_DISABLED: 'true', ...environment };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], { env });
  return stdout.trim();
}

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'flinkjob-credentials-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Gives its URL. */
async function serve(t: TestContext, answer: (request: IncomingMessage) => string): Promise<string> {
  const server = createServer((request, response) => response.end(answer(request)));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => server.close());
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  return `http://127.0.0.1:${address.port}`;
}

test('credentials come from shared files, from Pod Identity and from a web identity, and without any the message says so', {
  skip: whyNoS3Server,
}, async (t) => {
  await using server = await S3Server.start();
  const { accessKeyId, secretAccessKey } = server.credentials;
  const folder = newFolder(t);
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const expiration = new Date(Date.now() + 3_600_000).toISOString();

  assert.match(await put(server, {}), /no credentials were found; check AWS_ACCESS_KEY_ID.*CredentialsProviderError/);

  const shared = file(
    'credentials',
    `[checkpoints]\naws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\n`,
  );
  assert.equal(await put(server, { AWS_SHARED_CREDENTIALS_FILE: shared, AWS_PROFILE: 'checkpoints' }), 'Created');
  server.emptyBucket();

  const tokenFile = file('token', 'the-token-of-the-pod');
  const asked: (string | undefined)[] = [];
  const agent = await serve(t, (request) => {
    asked.push(request.headers.authorization);
    return JSON.stringify({
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      Token: '',
      Expiration: expiration,
    });
  });
  const podIdentity = {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
  };
  assert.equal(await put(server, podIdentity), 'Created');
  assert.deepEqual(asked, ['the-token-of-the-pod']);
  server.emptyBucket();

  const tokenService = await serve(
    t,
    () => `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
      <Credentials><AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey>
      <Expiration>${expiration}</Expiration></Credentials>
      </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
  );
  const webIdentity = {
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL_STS: tokenService,
    AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/checkpoints',
    AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
  };
  assert.equal(await put(server, webIdentity), 'Created');
});
