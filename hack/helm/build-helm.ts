/**
 * Builds Helm, for the tests of the chart and for a machine that has none, unless it is there already: one and a half to three minutes the first time,
 * nothing after that.
 *
 *   node hack/helm/build-helm.ts       prints its path
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildGoProgram, GoProgramBuildError } from '../build-go-program.ts';

const title = 'Helm';

/** Gives the program's file. Throws `GoProgramBuildError`. */
export function buildHelm(): Promise<string> {
  return buildGoProgram({
    cacheName: 'helm',
    title,
    module: fileURLToPath(new URL('.', import.meta.url)),
    command: 'helm.sh/helm/v3/cmd/helm',
    fileName: 'helm',
    expected: 'about two minutes',
  });
}

/** What `npm test` has built before it starts the tests; undefined when that was not possible. */
export function builtHelm(): string | undefined {
  const file = fileURLToPath(new URL('../../.cache/helm/current/helm', import.meta.url));
  return existsSync(file) ? file : undefined;
}

if (import.meta.main) {
  try {
    console.log(await buildHelm());
  } catch (error) {
    if (!(error instanceof GoProgramBuildError)) {
      throw error;
    }
    console.error(`${title} could not be built: ${error.message}`);
    process.exitCode = 1;
  }
}
