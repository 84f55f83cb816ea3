import { createHash } from 'node:crypto';
import { cpSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildS3Server } from '../s3-server/build-s3-server.ts';
import { isImage } from './base-image.ts';
import { run, stage } from './command.ts';
import { dockerEnvironment } from './docker-engine.ts';
import { cacheDirectory } from './paths.ts';

/** The S3 server of the tests, for pods: `s3-server.yaml` runs it. */
const s3ServerImage = 'flinkjob/s3-server:1';

const madeFromLabel = 'flinkjob.s3-server';
const dockerfile = `FROM scratch
COPY versitygw /versitygw
USER 10001:10001
ENTRYPOINT ["/versitygw"]
`;

/** Throws `KindError` or `GoProgramBuildError`. */
export async function ensureS3ServerImage(): Promise<string> {
  const program = await buildS3Server();
  const madeFrom = createHash('sha256').update(dockerfile).update(readFileSync(program)).digest('hex').slice(0, 16);
  if (await isImage(s3ServerImage, madeFromLabel, madeFrom)) {
    return s3ServerImage;
  }
  await stage(`image ${s3ServerImage}`, async () => {
    const directory = join(cacheDirectory, `s3-server-image-${process.pid}`);
    mkdirSync(directory, { recursive: true });
    try {
      writeFileSync(join(directory, 'Dockerfile'), dockerfile);
      linkOrCopy(program, join(directory, 'versitygw'));
      const label = ['--label', `${madeFromLabel}=${madeFrom}`];
      await run('docker', ['build', ...label, '--tag', s3ServerImage, directory], { env: dockerEnvironment });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
  return s3ServerImage;
}

function linkOrCopy(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    cpSync(source, target, { dereference: true });
  }
}
