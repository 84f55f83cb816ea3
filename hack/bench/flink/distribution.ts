import { chmod, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { announce } from '../announce.ts';
import { runTool } from '../processes/run-tool.ts';
import { cachedDirectory } from './content-cache.ts';

const requirements = fileURLToPath(new URL('./requirements.txt', import.meta.url));

/**
 * Apache Flink's binary distribution, laid out as its own archive is (`bin`, `conf`, `lib`, `opt`, `plugins`) with nothing changed. It is put
 * together from the two Python packages that hold it, fetched with pip and checked against the pinned checksums. Gives its directory.
 */
export async function flinkDistribution(signal: AbortSignal): Promise<string> {
  return cachedDirectory({
    name: 'flink',
    inputs: [await readFile(requirements)],
    build: async (directory) => {
      announce('fetching the Apache Flink distribution with pip (330 MB, once) …');
      // On the same file system as what it becomes.
      const fetched = join(directory, 'fetched');
      await mkdir(fetched);
      await fetchPackages(fetched, signal);
      await layOut(fetched, directory, signal);
      await rm(fetched, { recursive: true });
    },
  });
}

async function fetchPackages(fetched: string, signal: AbortSignal): Promise<void> {
  // One wheel for all machines, whatever their Python is, so that there is one checksum: no native code in it is used.
  const anyMachine = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311', '--abi', 'none'];
  const platforms = ['--platform', 'manylinux2014_x86_64', '--platform', 'any'];
  const checked = ['--quiet', '--no-deps', '--require-hashes', '--only-binary', ':all:'];
  await python(
    ['-m', 'pip', 'download', ...checked, ...anyMachine, ...platforms, '--dest', fetched, '--requirement', requirements],
    signal,
  );
}

async function layOut(fetched: string, directory: string, signal: AbortSignal): Promise<void> {
  for (const wheel of (await readdir(fetched)).filter((file) => file.endsWith('.whl'))) {
    await python(['-m', 'zipfile', '-e', join(fetched, wheel), fetched], signal);
  }
  for (const folder of ['bin', 'conf', 'lib', 'opt', 'plugins']) {
    await rename(join(fetched, 'pyflink', folder), join(directory, folder));
  }
  // Zip files of wheels carry no permissions.
  for (const script of await readdir(join(directory, 'bin'))) {
    await chmod(join(directory, 'bin', script), 0o755);
  }
}

async function python(args: readonly string[], signal: AbortSignal): Promise<void> {
  await runTool({
    command: 'python3',
    args,
    missing: 'Install Python 3 with pip: it fetches the Apache Flink distribution.',
    signal,
  });
}
