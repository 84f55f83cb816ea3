/**
 * Builds versitygw, the S3 server of the tests, unless it is there already: two to three minutes the first time, nothing after that.
 *
 *   node hack/s3-server/build-s3-server.ts       prints its path
 */
import { fileURLToPath } from 'node:url';
import { buildGoProgram, GoProgramBuildError } from '../build-go-program.ts';

const title = 'the S3 server of the tests';

/** Gives the program's file. Throws `GoProgramBuildError`. */
export function buildS3Server(): Promise<string> {
  return buildGoProgram({
    cacheName: 's3-server',
    title,
    module: fileURLToPath(new URL('.', import.meta.url)),
    command: 'github.com/versity/versitygw/cmd/versitygw',
    fileName: 'versitygw',
    expected: 'two to three minutes',
  });
}

if (import.meta.main) {
  try {
    console.log(await buildS3Server());
  } catch (error) {
    if (!(error instanceof GoProgramBuildError)) {
      throw error;
    }
    console.error(`${title} could not be built: ${error.message}`);
    process.exitCode = 1;
  }
}
