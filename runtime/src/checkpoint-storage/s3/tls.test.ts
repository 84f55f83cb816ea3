// S3 through TLS, in a process that knows the server only by its environment: what a pod has.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { S3Server, whyNoS3Server } from '../../../../hack/s3-server/s3-server.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const skip = whyNoS3Server === false ? !hasOpenssl && 'openssl, which makes the certificate, is not installed' : whyNoS3Server;

const program = `
import { openStorageAt } from ${JSON.stringify(new URL('../open-checkpoint-storage.ts', import.meta.url).href)};
const storage = openStorageAt('s3://checkpoints/a');
const content = new Uint8Array(20 * 1024 * 1024).fill(7);
try {
  console.log(await storage.putIfAbsent('large', content));
  console.log(await storage.putIfAbsent('small', content.subarray(0, 10)));
  console.log(await storage.putIfAbsent('small', content.subarray(0, 10)));
  console.log(Buffer.from(content).equals(await storage.get('large')));
} catch (error) {
  console.log(error.message);
}
`;

test('a process that trusts the server stores through TLS, and one that does not says which file to name', {
  skip,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'flinkjob-tls-'));
  t.after(() => rm(folder, { recursive: true }));
  const [certificateFile, keyFile] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyFile];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  await promisify(execFile)('openssl', ['req', '-x509', ...key, '-out', certificateFile, ...subject]);
  await using server = await S3Server.start({ certificateFile, keyFile });

  const run = async (environment: Readonly<Record<string, string>>): Promise<string> => {
    const env = { ...process.env, ...server.environment, ...environment };
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], { env });
    return stdout;
  };
  assert.equal(await run({ NODE_EXTRA_CA_CERTS: certificateFile }), 'Created\nCreated\nOccupied\ntrue\n');
  assert.match(await run({}), /is signed by itself; name its authority in NODE_EXTRA_CA_CERTS/);
});
