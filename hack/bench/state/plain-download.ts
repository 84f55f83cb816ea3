import { createHash, createHmac } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Agent, get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { S3Server } from '../../s3-server/s3-server.ts';

/**
 * Fetches whole objects to files, so many at a time, with nothing but Node's own HTTP client: no checks, no retries, no SDK. What an S3 server and a disk give at
 * best to one process that needs no more than the bytes. Gives how many bytes came.
 */
export async function plainDownload(options: {
  readonly server: S3Server;
  readonly keys: readonly string[];
  readonly directory: string;
  readonly connectionCount: number;
}): Promise<number> {
  const { server, keys, directory, connectionCount } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: connectionCount });
  const waiting = [...keys.entries()];
  let sizeBytes = 0;
  const client = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [index, key] = next;
      const response = await open(server, key, agent);
      const target = createWriteStream(join(directory, `${index}`), { flags: 'wx' });
      await pipeline(response, target);
      sizeBytes += target.bytesWritten;
    }
  };
  try {
    await Promise.all(Array.from({ length: connectionCount }, client));
  } finally {
    agent.destroy();
  }
  return sizeBytes;
}

async function open(server: S3Server, key: string, agent: Agent): Promise<IncomingMessage> {
  const path = `/${server.bucket}/${key.split('/').map(encodeURIComponent).join('/')}`;
  const host = `127.0.0.1:${server.port}`;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`http://${host}${path}`, { agent, headers: signed(server, { host, path }) }, resolve).once('error', reject);
  });
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`GET ${path} of the S3 server answered ${response.statusCode}`);
  }
  return response;
}

/** AWS Signature Version 4 of a GET without a query. */
function signed(
  { credentials, environment }: S3Server,
  { host, path }: { readonly host: string; readonly path: string },
): Readonly<Record<string, string>> {
  const time = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '');
  const scope = `${time.slice(0, 8)}/${environment['AWS_REGION']}/s3/aws4_request`;
  const headers = { host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', 'x-amz-date': time };
  const names = Object.keys(headers).join(';');
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const request = ['GET', path, '', lines.join(''), names, 'UNSIGNED-PAYLOAD'].join('\n');
  const text = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(request).digest('hex')].join('\n');
  let key: string | Buffer = `AWS4${credentials.secretAccessKey}`;
  for (const part of scope.split('/')) {
    key = createHmac('sha256', key).update(part).digest();
  }
  const signature = createHmac('sha256', key).update(text).digest('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return { ...headers, authorization };
}
